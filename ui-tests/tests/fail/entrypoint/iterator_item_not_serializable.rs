use ppio::Value;

struct Chunk(String);

#[ppio::entrypoint]
fn agent(request: Value) -> impl Iterator<Item = Chunk> {
    std::iter::once(Chunk(request.to_string()))
}
