#[ppio::entrypoint]
std::thread_local! {}
