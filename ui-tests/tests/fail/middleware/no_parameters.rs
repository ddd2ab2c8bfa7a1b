use ppio::Response;

#[ppio::middleware]
async fn middleware() -> Response {
    unimplemented!()
}

fn main() {}
