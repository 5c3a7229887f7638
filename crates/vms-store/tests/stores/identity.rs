use uuid::Uuid;
use vms_app::identity::{Factor, FactorKind, IdentityStore as _};
use vms_app::ports::{AccountStore as _, OrgStore as _, SessionStore as _, StoreError};
use vms_core::{Profile, SessionId, UserId};
use vms_store::Store;

use crate::suite::{account_of, at, org_of, session_of};

fn factor_of(n: u8, user: UserId, kind: FactorKind, credential: Option<&str>) -> Factor {
    Factor {
        id: Uuid::from_bytes([n; 16]),
        user,
        kind,
        name: format!("factor {n}"),
        material: vec![0, 255, n],
        credential: credential.map(str::to_owned),
        counter: -1,
        created_at: at(i64::from(n)),
        confirmed_at: None,
        used_at: None,
    }
}

pub(crate) async fn second_factors_are_used_once(store: &Store) {
    let org = store.org_put(&org_of(1)).await.unwrap();
    let (one, two) = (account_of(1, org), account_of(2, org));
    for account in [&one, &two] {
        store.account_insert(account).await.unwrap();
    }
    let code = factor_of(1, one.id, FactorKind::Totp, None);
    let key = factor_of(2, one.id, FactorKind::WebAuthn, Some("abc"));
    store.factor_insert(&code).await.unwrap();
    store.factor_insert(&key).await.unwrap();
    assert_eq!(store.factor_list(one.id).await.unwrap(), [code.clone(), key.clone()]);
    let twin = factor_of(3, two.id, FactorKind::WebAuthn, Some("abc"));
    assert!(matches!(store.factor_insert(&twin).await, Err(StoreError::Taken(_))), "one key, one account");
    assert!(!store.factor_any(one.id).await.unwrap(), "unproven ones open nothing");

    for (counter, or_equal, wanted) in
        [(7, false, true), (7, false, false), (6, false, false), (7, true, true), (8, false, true)]
    {
        assert_eq!(store.factor_use(code.id, counter, or_equal, at(50 + counter)).await.unwrap(), wanted, "{counter}");
    }
    assert!(store.factor_any(one.id).await.unwrap() && !store.factor_any(two.id).await.unwrap());
    let proven = &store.factor_list(one.id).await.unwrap()[0];
    assert_eq!((proven.confirmed_at, proven.used_at, proven.counter), (Some(at(57)), Some(at(58)), 8));

    let hash = |n: u8| format!("{n:064}");
    store.recovery_replace(one.id, &[hash(1), hash(2), hash(3)], at(60)).await.unwrap();
    for (user, n, wanted) in [(one.id, 1, true), (one.id, 1, false), (two.id, 2, false), (one.id, 9, false)] {
        assert_eq!(store.recovery_use(user, &hash(n), at(61)).await.unwrap(), wanted);
    }
    assert_eq!(store.recovery_left(one.id).await.unwrap(), 2);
    store.recovery_replace(one.id, &[hash(4)], at(62)).await.unwrap();
    assert_eq!(store.recovery_left(one.id).await.unwrap(), 1, "old ones are dead");

    assert!(!store.factor_delete(two.id, key.id).await.unwrap(), "only one's own");
    assert!(store.factor_delete(one.id, key.id).await.unwrap());
    assert_eq!(store.factor_clear(one.id).await.unwrap(), 1);
    assert_eq!(store.recovery_left(one.id).await.unwrap(), 0);

    let session = session_of(1, one.id);
    store.session_insert(&session).await.unwrap();
    store.session_factor(session.id, at(70)).await.unwrap();
    store.session_profile(session.id, Profile::P04).await.unwrap();
    let found = store.session_fetch(SessionId::from_bytes([1; 16])).await.unwrap().unwrap();
    assert_eq!((found.factor_at, found.profile), (Some(at(70)), Profile::P04));
}
