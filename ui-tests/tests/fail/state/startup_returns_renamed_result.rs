type Fallible<T> = Result<T, String>;

#[ppio::startup]
async fn build() -> Fallible<u8> {
    Ok(1)
}

fn main() {}
