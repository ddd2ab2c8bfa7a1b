use futures_util::stream::Stream;
use ppio::{Reply, Value};

struct Answer(String);

#[ppio::entrypoint]
async fn agent(request: Value) -> Reply<Answer, impl Stream<Item = String>> {
    if request.is_null() {
        return Reply::Stream(futures_util::stream::empty());
    }
    Reply::Value(Answer(request.to_string()))
}
