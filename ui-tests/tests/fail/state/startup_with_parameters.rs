use ppio::State;

struct Settings;
struct Pool;

#[ppio::startup]
async fn settings() -> Settings {
    Settings
}

#[ppio::startup]
async fn connect(_settings: State<Settings>) -> Pool {
    Pool
}

fn main() {}
