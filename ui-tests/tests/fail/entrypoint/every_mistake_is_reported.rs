#[ppio::entrypoint(retries = 3, timeout = 60)]
pub unsafe extern "C" fn agent<T>(_request: &str, _context: &mut T, more: impl Into<u8>) -> u8 {
    more.into()
}
