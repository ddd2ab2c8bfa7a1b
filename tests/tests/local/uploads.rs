//! Archives that are uploaded for a build.

use serde_json::json;

use crate::raw_calls::call;
use crate::test_platform::TestPlatform;

#[tokio::test(flavor = "multi_thread")]
async fn the_status_line_of_a_refused_upload_has_the_reason() {
    let platform = TestPlatform::with(|builder| builder).await;
    let new = json!({"name": "uploads"});
    let template = call(&platform, "POST", "/v3/templates", &new).await.json();
    let path = format!(
        "/templates/{}/files/abc",
        template["templateID"].as_str().unwrap()
    );
    let link = platform.request("GET", &path, &[], b"").await.json();
    let url = link["url"].as_str().unwrap();
    let path = &url[url.find("/uploads/").unwrap()..];
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Link);
    header.set_size(0);
    archive
        .append_link(&mut header, "hard", "/etc/passwd")
        .unwrap();
    let archive = archive.into_inner().unwrap();
    let refused = platform.request("PUT", path, &[], &archive).await;
    assert_eq!(refused.status, 400);
    let first = refused.head.lines().next().unwrap();
    assert!(first.contains("\"hard\""), "{first}");
    platform.stop().await;
}
