#[ppio::websocket(path = "/chat")]
unsafe fn chat<T>(_socket: &T, _context: &mut ppio::RequestContext) {}

fn main() {}
