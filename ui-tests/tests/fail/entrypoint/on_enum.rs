#[ppio::entrypoint]
enum Agent {
    Ready,
}
