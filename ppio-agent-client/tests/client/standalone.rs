//! The parts of a client that are usable without a client.

use ppio_agent_client::{AuthManager, ClientConfig, Error, TemplateManager};
use ppio_test_support::scripted_platform::{ScriptedPlatform, agent_document};

use crate::clients::API_KEY;

#[tokio::test]
async fn templates_are_found_without_a_client() {
    let platform = ScriptedPlatform::start().await;
    platform.add_template("tmpl_2", &agent_document("chat"));
    let config = ClientConfig {
        base_url: Some(platform.url()),
        domain: Some(platform.domain()),
        ..ClientConfig::default()
    };
    let auth = AuthManager::new(API_KEY)
        .and_then(|auth| auth.with_access_token("token-1"))
        .expect("well formed");
    assert!(auth.validate_credentials());
    assert_eq!(auth.api_key().expose(), API_KEY);
    let templates = TemplateManager::with_config(auth, &config).expect("good addresses");

    let found = templates.list_templates().name("chat").await.unwrap();
    let ids: Vec<_> = found.iter().map(|it| it.template_id.as_str()).collect();
    assert_eq!(ids, ["tmpl_2"]);
    assert_eq!(templates.list_templates().await.unwrap().len(), 2);
    assert_eq!(templates.get_template("tmpl_2").await.unwrap().name, "chat");
    assert!(templates.template_exists("tmpl_2").await.unwrap());
    assert!(!templates.template_exists("tmpl_3").await.unwrap());
    let missing = templates.get_template("tmpl_3").await.unwrap_err();
    assert!(
        matches!(missing, Error::TemplateNotFound { .. }),
        "{missing}"
    );

    let listed = &platform.requests("GET /templates")[0];
    assert_eq!(listed.header("x-api-key"), API_KEY);
    assert_eq!(listed.header("authorization"), "Bearer token-1");
}

#[test]
fn invalid_settings_of_a_manager_are_errors() {
    let auth = || AuthManager::new(API_KEY).expect("well formed");
    let malformed = auth().with_access_token("line\nbreak").unwrap_err();
    assert!(
        matches!(malformed, Error::Authentication { .. }),
        "{malformed}"
    );
    for (field, config) in [
        (
            "base_url",
            ClientConfig {
                base_url: Some("nowhere".into()),
                ..ClientConfig::default()
            },
        ),
        (
            "max_connections",
            ClientConfig {
                max_connections: 0,
                ..ClientConfig::default()
            },
        ),
    ] {
        let error = TemplateManager::with_config(auth(), &config).unwrap_err();
        assert!(error.to_string().contains(field), "{error}");
    }
}
