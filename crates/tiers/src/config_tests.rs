use std::os::unix::fs::PermissionsExt as _;

use super::*;

const GOOD: &str = r#"
recorder = "recorder-centre"
local_wanted_gb = 200

[[store]]
name = "archive"
rate_mb_s = 60
[store.s3]
endpoint = "https://s3.example.org"
bucket = "belfry-segments"
prefix = "zone-5340"
credentials_env = "BELFRY_S3"

[[store]]
name = "second-disk"
[store.directory]
folder = "/srv/second"

[[rule]]
class = "RC-VID-RISK"
store = "second-disk"
keep_both = true

[[rule]]
camera = "cam_07070707070707070707070707070707"
hot_hours = 2

[[rule]]
store = "archive"
hot_hours = 48
upload_after_minutes = 10
"#;

#[test]
fn the_example_is_read() {
    let config = Config::from_toml(GOOD).unwrap();
    let policy = config.policy().unwrap();
    assert_eq!(policy.local_wanted, 200_000_000_000);
    assert_eq!(policy.rules.len(), 3);
    assert_eq!(policy.rules[2].hot, Duration::from_secs(48 * 3_600));
    assert_eq!(policy.rules[2].tier, Some(TierName("archive".into())));
    assert_eq!(policy.rules[1].tier, None);
    assert_eq!(config.stores[0].part_bytes(), 8 * 1024 * 1024);
}

#[test]
fn what_cannot_work_is_said_with_what_to_do() {
    // (text to change, its replacement, where the error points, what it says)
    let cases = [
        ("recorder-centre", "Recorder Centre", "recorder", "1 to 32"),
        ("rate_mb_s", "rate", "tier", "unknown field"),
        ("https://s3", "http://s3", "s3.endpoint", "allow_http"),
        ("https://s3", "https://key:secret@s3", "s3.endpoint", "credentials_file"),
        ("example.org", "example.org/bucket", "s3.endpoint", "fields of their own"),
        ("https://s3.example.org", "s3", "s3.endpoint", "https://"),
        ("belfry-segments", "B", "s3.bucket", "3 to 63"),
        ("zone-5340", "/zone", "s3.prefix", "none at the ends"),
        ("credentials_env = \"BELFRY_S3\"", "", "credentials_file", "either"),
        ("/srv/second", "srv", "directory.folder", "from /"),
        ("[store.directory]\nfolder = \"/srv/second\"", "", "kind", "either"),
        ("second-disk\"\n[", "archive\"\n[", "store.name", "twice"),
        ("store = \"archive\"", "store = \"cold\"", "rule.store", "no [[store]]"),
        ("RC-VID-RISK", "RISK", "rule.class", "RC-VID-OPEN"),
        ("cam_07", "cam_zz", "rule.camera", "cam_"),
        ("rate_mb_s = 60", "parallel = 0", "parallel", "1 to 64"),
        ("rate_mb_s = 60", "part_mib = 4", "part_mib", "5 to 64"),
        ("rate_mb_s = 60", "timeout_s = 0", "timeout_s", "at least 1"),
        ("rate_mb_s = 60", "read_back_one_in = 0", "read_back_one_in", "1 to read all"),
    ];
    for (old, new, field, say) in cases {
        assert!(GOOD.contains(old), "{old}");
        let error = Config::from_toml(&GOOD.replacen(old, new, 1)).unwrap_err();
        assert!(error.field.contains(field) && error.say.contains(say), "{new}: {error}");
        assert!(!error.to_string().contains("secret@"), "{error}");
    }
}

#[test]
fn credentials_are_read_and_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.toml");
    let s3 = S3Config {
        credentials_file: Some(file.clone()),
        credentials_env: None,
        ..Config::from_toml(GOOD).unwrap().stores[0].s3.clone().unwrap()
    };
    let none = |_: &str| None;
    assert!(s3.credentials(&none).unwrap_err().say.contains("make it"));

    std::fs::write(&file, "access_key_id = \"ident\"\nsecret_access_key = \"hush\"\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(s3.credentials(&none).unwrap_err().say.contains("chmod 600"));

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let read = s3.credentials(&none).unwrap();
    assert_eq!((read.access_key_id.as_str(), read.secret_access_key.as_str()), ("ident", "hush"));
    assert_eq!(format!("{read:?}"), "Credentials(hidden)");

    std::fs::write(&file, "access_key_id = \"ident\"\nsecret = \"hush\"\n").unwrap();
    let error = s3.credentials(&none).unwrap_err();
    assert!(!error.to_string().contains("hush"), "{error}");
}

#[test]
fn credentials_come_from_the_environment_that_was_handed_in() {
    let s3 = Config::from_toml(GOOD).unwrap().stores[0].s3.clone().unwrap();
    let full = |name: &str| match name {
        "BELFRY_S3_ACCESS_KEY_ID" => Some("ident".to_owned()),
        "BELFRY_S3_SECRET_ACCESS_KEY" => Some("hush".to_owned()),
        _ => None,
    };
    assert!(s3.credentials(&full).unwrap().session_token.is_none());
    let error = s3.credentials(&|_| None).unwrap_err();
    assert!(error.say.contains("BELFRY_S3_ACCESS_KEY_ID"), "{error}");
}
