#[ppio::entrypoint]
extern "C" fn agent(request: u32) -> u32 {
    request
}
