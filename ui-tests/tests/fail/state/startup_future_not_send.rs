#[ppio::startup]
async fn build() -> u8 {
    let count = std::rc::Rc::new(1);
    std::future::ready(()).await;
    *count
}

fn main() {}
