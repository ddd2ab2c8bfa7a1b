//! Versions and extensions that callers state, and the specification's rules for tasks and the
//! card.

use serde_json::{Value, json};

use super::{call, message, result, talking};

#[tokio::test]
async fn the_stated_version_has_to_match_the_method() {
    let agent = talking().await;
    let list = call("ListTasks", &json!({})).to_string();
    let old = call("tasks/get", &json!({"id": "none"})).to_string();
    for (path, header, body, code) in [
        ("/a2a", "", &list, Value::Null),
        ("/a2a", "1.0", &list, Value::Null),
        ("/a2a", "1.0.3", &list, Value::Null),
        ("/a2a?A2A-Version=1.0", "", &list, Value::Null),
        ("/a2a", "0.3", &list, json!(-32009)),
        ("/a2a?a2a-version=0.3", "", &list, json!(-32009)),
        ("/a2a", "0.3", &old, json!(-32001)),
        ("/a2a", "", &old, json!(-32001)),
        ("/a2a", "1.0", &old, json!(-32009)),
        ("/a2a", "2.0", &list, json!(-32009)),
        ("/a2a?A2A-Version=2.0", "", &list, json!(-32009)),
    ] {
        let answer = agent
            .send("POST", path, &[("a2a-version", header)], body)
            .await;
        let answer = answer.json().await;
        assert_eq!(answer["error"]["code"], code, "{path} {header}: {answer}");
    }
    for (query, header, status) in [
        ("", "", 200),
        ("", "1.0", 200),
        ("?A2A-Version=1.0", "", 200),
        // REST of version 0.3 is not offered.
        ("", "0.3", 400),
        ("?A2A-Version=0.3", "", 400),
        ("?A2A-Version=7", "", 400),
    ] {
        let path = format!("/a2a/tasks{query}");
        let answer = agent
            .send("GET", &path, &[("a2a-version", header)], "")
            .await;
        assert_eq!(answer.status(), status, "{query} {header}");
        if status == 200 {
            assert_eq!(answer.headers()["content-type"], "application/a2a+json");
        } else {
            let reason = &answer.json().await["error"]["details"][0]["reason"];
            assert_eq!(reason, "VERSION_NOT_SUPPORTED");
        }
    }
}

/// The agent declares no extension, so it activates none, and a request that names one is not an
/// error.
#[tokio::test]
async fn unknown_extensions_are_kept_in_the_message() {
    let agent = talking().await;
    let extension = "https://example.com/extensions/a/v1";
    let mut request = message("hi");
    request["message"]["extensions"] = json!([extension]);
    request["message"]["metadata"] = json!({extension: {"b": 1}});
    let headers = [("a2a-extensions", extension)];
    let body = call("SendMessage", &request).to_string();
    let answer = agent.send("POST", "/a2a", &headers, &body).await;
    assert_eq!(answer.headers().get("a2a-extensions"), None);
    let task = answer.json().await["result"]["task"].take();
    assert_eq!(task["status"]["state"], "TASK_STATE_COMPLETED");
    let sent = &task["history"][0];
    assert_eq!(sent["extensions"], request["message"]["extensions"]);
    assert_eq!(sent["metadata"], request["message"]["metadata"]);
    // The task in version 0.3 has the metadata as well.
    let task = result(&agent, "tasks/get", &json!({"id": task["id"]})).await;
    assert_eq!(
        task["history"][0]["metadata"],
        request["message"]["metadata"]
    );
}

#[tokio::test]
async fn pages_do_not_shift_when_tasks_are_added() {
    let agent = talking().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(result(&agent, "SendMessage", &message("a")).await["task"]["id"].take());
    }
    let mut waiting = message("hang");
    waiting["configuration"] = json!({"returnImmediately": true});
    let waiting = result(&agent, "SendMessage", &waiting).await["task"]["id"].take();
    ids.push(result(&agent, "SendMessage", &message("a")).await["task"]["id"].take());
    // The status of this task changes last.
    result(&agent, "CancelTask", &json!({"id": waiting})).await;
    ids.push(waiting);
    let mut found = Vec::new();
    let mut token = json!("");
    loop {
        let page = json!({"pageSize": 2, "pageToken": token});
        let page = result(&agent, "ListTasks", &page).await;
        let tasks = page["tasks"].as_array().unwrap().iter();
        found.extend(tasks.map(|task| task["id"].clone()));
        token = page["nextPageToken"].clone();
        if token == "" {
            break;
        }
        result(&agent, "SendMessage", &message("b")).await;
    }
    ids.reverse();
    assert_eq!(found, ids);
}

#[tokio::test]
async fn the_card_can_be_cached() {
    let agent = talking().await;
    let path = "/.well-known/agent-card.json";
    let card = agent.send("GET", path, &[], "").await;
    assert_eq!(card.headers()["cache-control"], "max-age=60");
    let tag = card.headers()["etag"].to_str().unwrap().to_owned();
    let card = card.json().await;
    assert_eq!(card["capabilities"]["pushNotifications"], true);
    let known = [("if-none-match", &*tag)];
    let again = agent.send("GET", path, &known, "").await;
    assert_eq!((again.status().as_u16(), &*again.text().await), (304, ""));
    let other = [("if-none-match", &*tag), ("x-forwarded-proto", "https")];
    assert_eq!(agent.send("GET", path, &other, "").await.status(), 200);
}
