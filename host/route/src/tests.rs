use towpath_config::{Config, Secrets};

use super::*;

#[test]
fn a_derived_webhook_id_is_the_same_in_every_version() {
    let text = r#"
        [[route]]
        path = "crm"
        group = "crm/{json:/customer}"
        dedup = "json:/id"
        plugin = "crm"
        [plugin.crm]
        path = "crm.wasm"
    "#;
    let config = Config::parse(text, "towpath.toml".as_ref(), &Secrets::placeholders()).expect("it is sound");
    let body = br#"{"customer":"a","id":"e1"}"#.to_vec();
    let route = config.routes.by_path("crm").expect("the route");
    let keys = keys(route, &Webhook { headers: Vec::new(), body, ..Webhook::default() });
    assert_eq!(keys.dedup.map(|dedup| dedup.webhook_id).as_deref(), Some("msg_8adb72620558a90d15eb1548d53ccbaf"));
}
