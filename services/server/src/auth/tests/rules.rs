//! Each rule about one token, true and false.

use super::*;

async fn refusal(config: &str, claim_changes: Value) -> AuthError {
    check(config, claim_changes).await.unwrap_err()
}

async fn with_header(config: &str, header_changes: Value) -> Result<Arc<Principal>, AuthError> {
    setup(config).verify(&ED.sign(&changed(ED.header(), header_changes), &claims(json!({})))).await
}

#[tokio::test]
async fn given_a_plain_token_when_verified_then_the_principal_says_what_it_claims() {
    let principal = check("", json!({})).await.unwrap();
    assert_eq!(
        *principal,
        Principal {
            id: "https://id.example#ada".into(),
            issuer: ISSUER.into(),
            subject: "ada".into(),
            kind: PrincipalKind::Person,
            roles: vec![RoleGrant::everywhere(Role::Qa)],
            unknown_roles: Vec::new(),
            kid: "ed".into(),
            jti_sha256: None,
            amr: Vec::new(),
            auth_time: None,
            email: None,
            via: None,
            expires_at: after(600),
            tenant: "default".into(),
            ci: None,
        }
    );
}

#[tokio::test]
async fn given_a_key_of_each_type_when_its_token_is_verified_then_it_is_accepted() {
    let setup = setup("");
    let signers: [&Signer; 5] = [&ED, &ES256, &ES384, &RS256, &PS256];
    for signer in signers {
        let principal = setup.verify(&signer.token(&claims(json!({})))).await.unwrap();
        assert_eq!(principal.kid, signer.kid);
    }
    let renamed = ED.sign(&changed(ED.header(), json!({"alg": "Ed25519"})), &claims(json!({})));
    assert!(setup.verify(&renamed).await.is_ok());
}

#[tokio::test]
async fn given_a_changed_signature_or_message_when_verified_then_it_is_refused_for_every_key_type() {
    let setup = setup("");
    let signers: [&Signer; 5] = [&ED, &ES256, &ES384, &RS256, &PS256];
    for signer in signers {
        let token = signer.token(&claims(json!({})));
        let (message, signature) = token.rsplit_once('.').unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        bytes[7] ^= 1;
        let flipped = format!("{message}.{}", URL_SAFE_NO_PAD.encode(&bytes));
        let shortened = format!("{message}.{}", URL_SAFE_NO_PAD.encode(&bytes[..bytes.len() - 1]));
        let other_claims = signer.token(&claims(json!({"sub": "eve"})));
        let (other_message, _) = other_claims.rsplit_once('.').unwrap();
        let moved = format!("{other_message}.{signature}");
        for forged in [flipped, shortened, moved, format!("{message}."), format!("{message}.*")] {
            assert_eq!(setup.verify(&forged).await, Err(AuthError::SignatureInvalid), "{}", signer.alg);
        }
    }
}

#[tokio::test]
async fn given_nothing_too_much_or_no_token_at_all_when_verified_then_no_signature_is_checked() {
    let setup = setup("");
    let huge = ED.token(&claims(json!({"padding": "x".repeat(8 * 1024)})));
    assert_eq!(setup.verify("").await, Err(AuthError::TokenMissing));
    assert_eq!(setup.verify(&huge).await, Err(AuthError::TokenTooLarge));
    assert_eq!(setup.verifier.cached(&huge, after(0)), None);
    for text in ["abc", "a.b", "....", "a.b.c", "not a token", "eyJ9.eyJ9.x", "é.é.é"] {
        assert_eq!(setup.verify(text).await, Err(AuthError::Malformed), "{text}");
    }
    assert_eq!(setup.verifier.stats().signatures, 0);
}

#[tokio::test]
async fn given_repeated_members_when_verified_then_the_token_is_refused_although_its_signature_is_good() {
    let setup = setup("");
    let (header, plain) = (ED.header().to_string(), claims(json!({})).to_string());
    let twice = plain.replacen('{', r#"{"sub":"eve","#, 1);
    assert_eq!(setup.verify(&ED.sign_raw(&header, &twice)).await, Err(AuthError::DuplicateMember));
    let nested = plain.replacen('{', r#"{"act":{"sub":"a","sub":"b"},"#, 1);
    assert_eq!(setup.verify(&ED.sign_raw(&header, &nested)).await, Err(AuthError::DuplicateMember));
    let alg_twice = header.replacen('{', r#"{"alg":"none","#, 1);
    assert_eq!(setup.verify(&ED.sign_raw(&alg_twice, &plain)).await, Err(AuthError::DuplicateMember));
}

#[tokio::test]
async fn given_an_issuer_that_is_not_configured_exactly_so_when_verified_then_it_is_unknown() {
    for iss in ["https://evil.example", "https://id.example/", "HTTPS://ID.EXAMPLE", ""] {
        assert_eq!(refusal("", json!({"iss": iss})).await, AuthError::IssuerUnknown, "{iss}");
    }
    assert_eq!(refusal("", json!({"iss": null})).await, missing("iss"));
    assert_eq!(refusal("", json!({"iss": [ISSUER]})).await, invalid("iss"));
}

#[tokio::test]
async fn given_no_kid_or_an_unusable_one_when_verified_then_it_is_missing() {
    for kid in [json!(null), json!(""), json!(7), json!("a\nb"), json!("x".repeat(256))] {
        assert_eq!(with_header("", json!({"kid": kid})).await, Err(AuthError::KidMissing), "{kid}");
    }
    assert_eq!(with_header("", json!({"kid": "nobody"})).await, Err(AuthError::KeyUnknown));
}

#[tokio::test]
async fn given_an_algorithm_outside_the_allow_list_when_verified_then_it_is_refused_before_the_signature() {
    let setup = setup("algorithms = ['EdDSA']");
    assert!(setup.verify(&ED.token(&claims(json!({})))).await.is_ok());
    assert_eq!(setup.verify(&ES256.token(&claims(json!({})))).await, Err(AuthError::AlgorithmNotAllowed));
    assert_eq!(setup.verifier.stats().signatures, 1);
}

#[tokio::test]
async fn given_a_header_algorithm_that_is_not_the_keys_when_verified_then_it_is_refused() {
    let setup = setup("");
    for (alg, kid) in
        [("ES256", "ed"), ("EdDSA", "es256"), ("ES384", "es256"), ("PS256", "rs256"), ("RS256", "ps256")]
    {
        let header = json!({"alg": alg, "kid": kid, "typ": "JWT"});
        let signers: [&Signer; 3] = [&ED, &ES256, &RS256];
        for signer in signers {
            let token = signer.sign(&header, &claims(json!({})));
            assert_eq!(setup.verify(&token).await, Err(AuthError::AlgorithmNotAllowed), "{alg} with {kid}");
        }
    }
    assert_eq!(with_header("", json!({"alg": null})).await, Err(AuthError::Malformed));
    assert_eq!(with_header("", json!({"alg": 7})).await, Err(AuthError::Malformed));
}

#[tokio::test]
async fn given_a_token_keyed_with_the_public_key_as_a_secret_when_verified_then_the_algorithm_is_refused() {
    let setup = setup("");
    let Private::Rsa(rsa) = &RS256.private else { unreachable!() };
    let Private::Ed(ed) = &ED.private else { unreachable!() };
    for (kid, secret) in [("rs256", rsa.public_key().as_ref()), ("ed", ed.public_key().as_ref())] {
        for alg in ["HS256", "HS384", "HS512", "hs256"] {
            let header = json!({"alg": alg, "kid": kid, "typ": "JWT"}).to_string();
            let message =
                [header, claims(json!({})).to_string()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
            let tag = aws_lc_rs::hmac::sign(&key, message.as_bytes());
            let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag));
            assert_eq!(setup.verify(&token).await, Err(AuthError::AlgorithmNotAllowed), "{alg} with {kid}");
        }
    }
}

#[tokio::test]
async fn given_an_unsigned_token_when_verified_then_the_algorithm_is_refused() {
    let setup = setup("");
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let signed = ED.sign(&json!({"alg": alg, "kid": "ed"}), &claims(json!({})));
        let (message, _) = signed.rsplit_once('.').unwrap();
        assert_eq!(setup.verify(&format!("{message}.")).await, Err(AuthError::AlgorithmNotAllowed), "{alg}");
        assert_eq!(setup.verify(&signed).await, Err(AuthError::AlgorithmNotAllowed), "{alg}");
    }
}

#[tokio::test]
async fn given_a_header_that_brings_its_own_key_when_verified_then_only_the_configured_keys_count() {
    let setup = setup("");
    let offers = json!({
        "jwk": STRANGER.jwk(), "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x5", "x5c": ["AAAA"],
    });
    let forged = STRANGER.sign(&changed(STRANGER.header(), offers.clone()), &claims(json!({})));
    assert_eq!(setup.verify(&forged).await, Err(AuthError::SignatureInvalid));
    let genuine = ED.sign(&changed(ED.header(), offers), &claims(json!({})));
    assert!(setup.verify(&genuine).await.is_ok());
    assert_eq!(setup.verifier.stats().key_set_reads, 0);
}

#[tokio::test]
async fn given_two_issuers_when_one_signs_in_the_others_name_then_neither_its_kid_nor_its_key_counts() {
    let dir = tempfile::tempdir().unwrap();
    let own = Signer::ed("own");
    let same_name = Signer::ed("ed");
    let (first, second) = (dir.path().join("first.json"), dir.path().join("second.json"));
    std::fs::write(&first, key_set(&[&ED])).unwrap();
    std::fs::write(&second, key_set(&[&own, &same_name])).unwrap();
    let other = format!("issuer = '{OTHER_ISSUER}'");
    let issuers =
        [issuer_at(&first.display().to_string(), ""), issuer_at(&second.display().to_string(), &other)];
    let verifier = verifier(&issuers).unwrap();
    let verify = async |signer: &Signer, iss: &str| {
        verifier
            .verify(&signer.token(&claims(json!({"iss": iss}))), after(0))
            .await
            .map(|principal| principal.id.clone())
    };
    assert_eq!(verify(&own, OTHER_ISSUER).await, Ok("https://other.example#ada".into()));
    assert_eq!(verify(&own, ISSUER).await, Err(AuthError::KeyUnknown));
    assert_eq!(verify(&same_name, OTHER_ISSUER).await, Ok("https://other.example#ada".into()));
    assert_eq!(verify(&same_name, ISSUER).await, Err(AuthError::SignatureInvalid));
}

#[tokio::test]
async fn given_critical_extensions_when_verified_then_they_are_refused() {
    for crit in [json!(["b64"]), json!([]), json!("exp")] {
        assert_eq!(with_header("", json!({"crit": crit})).await, Err(AuthError::CritUnsupported), "{crit}");
    }
}

#[tokio::test]
async fn given_a_configured_typ_when_verified_then_case_and_prefix_do_not_matter_and_others_are_refused() {
    let expected = "typ = 'at+jwt'";
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        assert!(with_header(expected, json!({"typ": typ})).await.is_ok(), "{typ}");
    }
    for typ in [json!("JWT"), json!(null), json!(""), json!(1), json!("text/at+jwt"), json!("at+jwt ")] {
        assert_eq!(with_header(expected, json!({"typ": typ})).await, Err(AuthError::TypMismatch), "{typ}");
    }
    assert!(with_header("typ = 'application/JWT'", json!({})).await.is_ok());
    assert!(with_header("", json!({"typ": null})).await.is_ok());
}

#[tokio::test]
async fn given_required_claims_when_one_is_missing_or_of_another_type_then_it_is_named() {
    for claim in ["exp", "iss", "aud", "sub"] {
        assert_eq!(refusal("", json!({claim: null})).await, missing(claim));
        assert_eq!(refusal("", json!({claim: true})).await, invalid(claim));
        assert_eq!(refusal("", json!({claim: {"a": 1}})).await, invalid(claim));
    }
    for (claim, value) in
        [("exp", json!("1800000600")), ("iat", json!("x")), ("nbf", json!([])), ("exp", json!(-1))]
    {
        assert_eq!(refusal("", json!({claim: value})).await, invalid(claim));
    }
}

#[tokio::test]
async fn given_audiences_when_verified_then_ours_must_be_the_one_or_among_them() {
    for aud in [json!(AUDIENCE), json!([AUDIENCE]), json!(["other", AUDIENCE])] {
        assert!(check("", json!({"aud": aud})).await.is_ok());
    }
    for aud in [json!("other"), json!(""), json!([]), json!(["other"]), json!("Shiplog"), json!("shiplog ")] {
        assert_eq!(refusal("", json!({"aud": aud})).await, AuthError::AudienceMismatch, "{aud}");
    }
    for aud in [json!(7), json!({"shiplog": true}), json!([AUDIENCE, 7]), json!([[AUDIENCE]])] {
        assert_eq!(refusal("", json!({"aud": aud})).await, invalid("aud"), "{aud}");
    }
}

#[tokio::test]
async fn given_subjects_when_verified_then_only_1_to_255_printable_characters_are_accepted() {
    assert!(check("", json!({"sub": "x".repeat(255)})).await.is_ok());
    for sub in ["", "a\u{0}b", "a\nb", "zoë", &"x".repeat(256)] {
        assert_eq!(refusal("", json!({"sub": sub})).await, invalid("sub"));
    }
}

#[tokio::test]
async fn given_an_expiry_when_the_clock_passes_it_then_5_seconds_of_leeway_remain() {
    let setup = setup("");
    let token = ED.token(&claims(json!({"exp": START + 100})));
    assert!(setup.verify_at(&token, 104).await.is_ok());
    assert_eq!(setup.verify_at(&token, 105).await, Err(AuthError::Expired));
}

#[tokio::test]
async fn given_not_before_when_the_clock_is_5_seconds_short_then_it_is_valid_and_earlier_it_is_not() {
    assert!(check("", json!({"nbf": START + 5})).await.is_ok());
    assert_eq!(refusal("", json!({"nbf": START + 6})).await, AuthError::NotYetValid);
}

#[tokio::test]
async fn given_an_issue_time_when_it_is_more_than_5_seconds_ahead_then_it_is_refused() {
    assert!(check("", json!({"iat": START + 5})).await.is_ok());
    assert_eq!(refusal("", json!({"iat": START + 6})).await, AuthError::IssuedInFuture);
}

#[tokio::test]
async fn given_lifetimes_when_longer_than_configured_then_they_are_refused() {
    let lives = |seconds: i64| json!({"exp": START + seconds});
    assert!(check("", lives(3_600)).await.is_ok());
    assert_eq!(refusal("", lives(3_601)).await, AuthError::LifetimeTooLong);
    assert!(check("kind = 'machine'", lives(900)).await.is_ok());
    assert_eq!(refusal("kind = 'machine'", lives(901)).await, AuthError::LifetimeTooLong);
    assert!(check("kind = 'machine'\nmax_lifetime = 7200", lives(7_200)).await.is_ok());
    assert_eq!(refusal("max_lifetime = 60", lives(61)).await, AuthError::LifetimeTooLong);
    let old = json!({"iat": START - 3_000, "exp": START + 601});
    assert_eq!(refusal("", old).await, AuthError::LifetimeTooLong);
}

#[tokio::test]
async fn given_no_issue_time_when_verified_then_the_remaining_life_is_measured() {
    assert!(check("", json!({"iat": null, "exp": START + 3_605})).await.is_ok());
    assert_eq!(refusal("", json!({"iat": null, "exp": START + 3_606})).await, AuthError::LifetimeTooLong);
}

#[tokio::test]
async fn given_a_claim_that_says_what_the_subject_is_when_verified_then_it_is_required_and_closed() {
    let config = "kind = 'claim'";
    assert_eq!(check(config, json!({"kind": "person"})).await.unwrap().kind, PrincipalKind::Person);
    assert_eq!(check(config, json!({"kind": "machine"})).await.unwrap().kind, PrincipalKind::Machine);
    assert_eq!(
        refusal(config, json!({"kind": "machine", "exp": START + 901})).await,
        AuthError::LifetimeTooLong
    );
    assert!(check(config, json!({"kind": "person", "exp": START + 901})).await.is_ok());
    assert_eq!(refusal(config, json!({})).await, missing("kind"));
    assert_eq!(refusal(config, json!({"kind": "robot"})).await, invalid("kind"));
    assert_eq!(refusal("kind = 'claim'\nkind_claim = 'is'", json!({"kind": "person"})).await, missing("is"));
}

#[tokio::test]
async fn given_roles_when_verified_then_known_ones_are_granted_and_unknown_ones_are_only_shown() {
    let roles = json!(["release_manager:checkout", "qa", "qa", "root", "admin:\u{1b}[31m", "auditor"]);
    let principal = check("", json!({"roles": roles})).await.unwrap();
    assert!(principal.has(Role::ReleaseManager, Some("checkout")));
    assert!(
        !principal.has(Role::ReleaseManager, Some("billing")) && !principal.has(Role::ReleaseManager, None)
    );
    assert!(principal.has(Role::Qa, None) && principal.has(Role::Qa, Some("billing")));
    assert!(!principal.has(Role::Admin, None) && !principal.has(Role::Admin, Some("checkout")));
    assert_eq!(principal.roles_for(Some("checkout")), [Role::Qa, Role::Auditor, Role::ReleaseManager]);
    assert_eq!(principal.roles_for(None), [Role::Qa, Role::Auditor]);
    assert_eq!(principal.unknown_roles, ["root", "admin:\\u{1b}[31m"]);
}

#[tokio::test]
async fn given_roles_of_another_shape_when_verified_then_they_are_refused_and_none_at_all_is_fine() {
    for roles in [json!("admin"), json!({"admin": true}), json!(["qa", 7]), json!(7)] {
        assert_eq!(refusal("", json!({"roles": roles})).await, invalid("roles"));
    }
    assert!(check("", json!({"roles": null})).await.unwrap().roles.is_empty());
    let nested = "roles_claim = '/realm_access/roles'\nroles = ['viewer']";
    let principal = check(nested, json!({"realm_access": {"roles": ["dba"]}})).await.unwrap();
    assert_eq!(principal.roles_for(None), [Role::Viewer, Role::Dba]);
}

#[tokio::test]
async fn given_an_email_when_it_is_verified_by_the_issuer_then_it_is_lower_case_and_else_absent() {
    let email = async |verified: Value| {
        check("", json!({"email": "Ada@Example.ORG", "email_verified": verified}))
            .await
            .unwrap()
            .email
            .clone()
    };
    assert_eq!(email(json!(true)).await.as_deref(), Some("ada@example.org"));
    for verified in [json!(false), json!("true"), json!(1), json!(null)] {
        assert_eq!(email(verified).await, None);
    }
    for address in [json!(7), json!("ada"), json!("a@b\n"), json!("a @b")] {
        assert_eq!(refusal("", json!({"email": address, "email_verified": true})).await, invalid("email"));
    }
}

#[tokio::test]
async fn given_a_delegated_token_when_verified_then_the_subject_stays_and_the_actor_is_via() {
    let principal = check("", json!({"act": {"sub": "bot-7", "act": {"sub": "earlier"}}})).await.unwrap();
    assert_eq!(
        (principal.subject.as_str(), principal.via.as_deref()),
        ("ada", Some("https://id.example#bot-7"))
    );
    let foreign = check("", json!({"act": {"sub": "bot-7", "iss": OTHER_ISSUER}})).await.unwrap();
    assert_eq!(foreign.via.as_deref(), Some("https://other.example#bot-7"));
    for act in
        [json!("bot"), json!({}), json!({"sub": 7}), json!({"sub": ""}), json!({"sub": "a", "iss": "x#y"})]
    {
        assert_eq!(refusal("", json!({"act": act})).await, invalid("act"));
    }
}

#[tokio::test]
async fn given_how_and_when_somebody_signed_in_when_verified_then_it_is_kept_and_the_future_is_refused() {
    let principal = check("", json!({"amr": ["pwd", "otp"], "auth_time": START - 60})).await.unwrap();
    assert_eq!(principal.amr, ["pwd", "otp"]);
    assert_eq!(principal.auth_time, Some(after(-60)));
    assert!(check("", json!({"auth_time": START + 5})).await.is_ok());
    assert_eq!(refusal("", json!({"auth_time": START + 6})).await, invalid("auth_time"));
    assert_eq!(refusal("", json!({"amr": "pwd"})).await, invalid("amr"));
}

#[tokio::test]
async fn given_a_token_id_when_verified_then_only_its_digest_is_kept() {
    let principal = check("", json!({"jti": "abc"})).await.unwrap();
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(principal.jti_sha256.as_deref(), Some(digest));
    assert_eq!(refusal("", json!({"jti": 7})).await, invalid("jti"));
}

#[tokio::test]
async fn given_tenants_when_verified_then_an_issuer_speaks_for_the_configured_ones_only() {
    let tenant = async |config: &str, claims: Value| check(config, claims).await.map(|p| p.tenant.clone());
    assert_eq!(tenant("", json!({"tenant": "default"})).await, Ok("default".into()));
    assert_eq!(tenant("", json!({"tenant": "acme"})).await, Err(invalid("tenant")));
    assert_eq!(tenant("tenants = ['acme', 'beta']", json!({})).await, Ok("acme".into()));
    assert_eq!(tenant("tenants = ['acme', 'beta']", json!({"tenant": "beta"})).await, Ok("beta".into()));
    assert_eq!(tenant("tenants = ['acme']", json!({"tenant": "default"})).await, Err(invalid("tenant")));
    assert_eq!(tenant("tenants = ['*']", json!({})).await, Ok("default".into()));
    assert_eq!(tenant("tenants = ['*']", json!({"tenant": "any-1"})).await, Ok("any-1".into()));
    assert_eq!(tenant("tenants = ['*']", json!({"tenant": "../x"})).await, Err(invalid("tenant")));
    assert_eq!(tenant("tenant_claim = 'org'\ntenants = ['*']", json!({"org": "o"})).await, Ok("o".into()));
}

#[tokio::test]
async fn given_a_verified_token_when_it_comes_again_then_no_signature_is_checked() {
    let setup = setup("");
    let token = ED.token(&claims(json!({})));
    assert_eq!(setup.verifier.cached(&token, after(0)), None);
    let first = setup.verify(&token).await.unwrap();
    let second = setup.verify_at(&token, 1).await.unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert!(Arc::ptr_eq(&first, &setup.verifier.cached(&token, after(2)).unwrap()));
    let stats = VerifierStats { signatures: 1, key_set_reads: 0, cached_tokens: 1 };
    assert_eq!(setup.verifier.stats(), stats);
}

#[tokio::test]
async fn given_a_remembered_token_when_it_has_expired_then_it_is_not_served() {
    let setup = setup("");
    let token = ED.token(&claims(json!({"exp": START + 10})));
    setup.verify(&token).await.unwrap();
    assert!(setup.verifier.cached(&token, after(14)).is_some());
    assert_eq!(setup.verifier.cached(&token, after(15)), None);
    assert_eq!(setup.verify_at(&token, 15).await, Err(AuthError::Expired));
}

#[tokio::test]
async fn given_a_refused_token_when_the_reason_passes_then_the_refusal_was_not_remembered() {
    let setup = setup("");
    let token = ED.token(&claims(json!({"nbf": START + 60})));
    assert_eq!(setup.verify(&token).await, Err(AuthError::NotYetValid));
    assert_eq!(setup.verifier.stats().cached_tokens, 0);
    assert!(setup.verify_at(&token, 60).await.is_ok());
}

#[tokio::test]
async fn given_the_local_issuer_when_its_tokens_are_verified_then_every_field_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let local = issue::LocalIssuer::load_or_generate(dir.path(), ISSUER).unwrap();
    let jwks = dir.path().join(issue::JWKS_FILE).display().to_string();
    let verifier = verifier(&[issuer_at(&jwks, "kind = 'claim'\ntyp = 'JWT'\ntenants = ['acme']")]).unwrap();
    let request = issue::TokenRequest {
        roles: vec![RoleGrant::for_product(Role::Approver, "checkout"), RoleGrant::everywhere(Role::Viewer)],
        jti: Some("one".into()),
        email: Some("Ada@example.org".into()),
        tenant: Some("acme".into()),
        amr: vec!["hwk".into()],
        auth_time: Some(after(-1)),
        via: Some("bot".into()),
        ..issue::TokenRequest::new("ada", PrincipalKind::Person, AUDIENCE, 3_600, after(0))
    };
    let principal = verifier.verify(&local.token(&request).unwrap(), after(0)).await.unwrap();
    assert_eq!(
        principal.roles,
        [RoleGrant::everywhere(Role::Viewer), RoleGrant::for_product(Role::Approver, "checkout")]
    );
    assert_eq!(principal.kid, local.kid());
    assert_eq!(principal.email.as_deref(), Some("ada@example.org"));
    assert_eq!(principal.via.as_deref(), Some("https://id.example#bot"));
    assert_eq!((principal.tenant.as_str(), principal.auth_time), ("acme", Some(after(-1))));
    assert_eq!(principal.expires_at, after(3_600));
    let machine = issue::TokenRequest::new("bot", PrincipalKind::Machine, AUDIENCE, 900, after(0));
    let principal = verifier.verify(&local.token(&machine).unwrap(), after(0)).await.unwrap();
    assert_eq!((principal.kind, principal.roles.len()), (PrincipalKind::Machine, 0));
}

#[tokio::test]
async fn given_any_refusal_when_shown_then_it_holds_nothing_of_the_token() {
    let secret = "hunter2";
    for changes in [
        json!({"sub": format!("{secret}\n")}),
        json!({"aud": secret}),
        json!({"aud": {secret: 1}}),
        json!({"iss": secret}),
        json!({"roles": secret}),
        json!({"exp": secret}),
        json!({"tenant": secret}),
        json!({"act": secret}),
    ] {
        let refusal = refusal("", changes).await;
        assert!(!format!("{refusal} {refusal:?} {}", refusal.code()).contains(secret), "{refusal:?}");
    }
    let shown = with_header("", json!({"kid": secret})).await.unwrap_err();
    assert!(!format!("{shown} {shown:?}").contains(secret));
}

#[test]
fn given_all_refusals_when_named_then_the_codes_are_snake_case_and_differ() {
    let all = [
        AuthError::TokenMissing,
        AuthError::TokenTooLarge,
        AuthError::Malformed,
        AuthError::DuplicateMember,
        AuthError::IssuerUnknown,
        AuthError::KidMissing,
        AuthError::KeyUnknown,
        AuthError::AlgorithmNotAllowed,
        AuthError::SignatureInvalid,
        AuthError::Expired,
        AuthError::NotYetValid,
        AuthError::IssuedInFuture,
        AuthError::LifetimeTooLong,
        AuthError::AudienceMismatch,
        missing("exp"),
        invalid("exp"),
        AuthError::TypMismatch,
        AuthError::CritUnsupported,
        AuthError::CiRefused { reason: CiRefusal::PullRequest },
        AuthError::JtiReused,
        AuthError::KeysUnavailable,
    ];
    let codes: std::collections::BTreeSet<_> = all.iter().map(AuthError::code).collect();
    assert_eq!(codes.len(), all.len());
    assert!(codes.iter().all(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
}
