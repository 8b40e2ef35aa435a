use std::fs;

use rcgen::PublicKeyData;

use super::*;

fn kept(directory: &Path) -> Keys {
    Keys::Kept {
        directory: Some(directory.to_owned()),
        or_memory: false,
    }
}

fn refused(keys: &Keys) -> String {
    let words = keys.open().unwrap_err().to_string();
    assert_eq!(words.lines().count(), 1, "{words}");
    words
}

#[test]
fn a_key_is_made_once_for_its_owner_alone_and_found_again() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("deep/data");
    let (made, origin) = kept(&data).open().unwrap();
    assert!(matches!(origin, Origin::Made));
    let (found, origin) = kept(&data).open().unwrap();
    assert!(matches!(origin, Origin::Loaded));
    assert_eq!(found.fingerprint, made.fingerprint);
    let names = fs::read_dir(data.join(DIRECTORY)).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [CERTIFICATE, KEY], "nothing else is left");
    #[cfg(unix)]
    for (name, expected) in [("", 0o700), (KEY, 0o600), (CERTIFICATE, 0o600)] {
        use std::os::unix::fs::PermissionsExt;
        let found = fs::metadata(data.join(DIRECTORY).join(name)).unwrap();
        let allowed = found.permissions().mode() & 0o777;
        assert_eq!(allowed, expected, "{name}");
    }
}

#[test]
fn another_start_in_memory_is_another_server() {
    let fingerprint = || Keys::Memory.open().unwrap().0.fingerprint;
    assert_ne!(fingerprint(), fingerprint());
}

#[test]
fn a_lost_certificate_is_made_anew_of_the_same_key() {
    let home = tempfile::tempdir().unwrap();
    let keys = kept(home.path());
    let (made, _) = keys.open().unwrap();
    let certificate = home.path().join(DIRECTORY).join(CERTIFICATE);
    let before = fs::read(&certificate).unwrap();
    fs::remove_file(&certificate).unwrap();
    assert_eq!(keys.open().unwrap().0.fingerprint, made.fingerprint);
    assert_ne!(before, b"");
}

#[test]
fn no_other_key_takes_the_place_of_one_that_is_lost_or_damaged() {
    let home = tempfile::tempdir().unwrap();
    let keys = kept(home.path());
    keys.open().unwrap();
    let directory = home.path().join(DIRECTORY);
    let (key, certificate) = (directory.join(KEY), directory.join(CERTIFICATE));
    let (good_key, good_certificate) = (fs::read(&key).unwrap(), fs::read(&certificate).unwrap());

    for damage in [&b""[..], b"not PEM", &good_key[..good_key.len() / 2]] {
        fs::write(&key, damage).unwrap();
        assert!(refused(&keys).contains("holds no private key"));
        assert_eq!(fs::read(&key).unwrap(), damage, "it is left as it is");
    }
    fs::write(&key, &good_key).unwrap();
    let cut = &good_certificate[..good_certificate.len() / 2];
    for damage in [
        b"",
        cut,
        &b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"[..],
    ] {
        fs::write(&certificate, damage).unwrap();
        assert!(
            refused(&keys).contains("holds no certificate"),
            "{}",
            refused(&keys)
        );
    }
    fs::write(&certificate, &good_certificate).unwrap();

    let elsewhere = tempfile::tempdir().unwrap();
    kept(elsewhere.path()).open().unwrap();
    fs::copy(elsewhere.path().join(DIRECTORY).join(KEY), &key).unwrap();
    assert!(refused(&keys).contains("is not the certificate of the key"));

    fs::remove_file(&key).unwrap();
    assert!(refused(&keys).contains("Put the key back"));
    assert!(!key.exists());
    fs::remove_file(&certificate).unwrap();
    keys.open().unwrap();
}

#[test]
fn a_key_that_cannot_be_kept_is_refused_or_made_in_memory() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(refused(&kept(&file)).contains("The server needs it for its key"));
    let keys = Keys::Kept {
        directory: Some(file),
        or_memory: true,
    };
    assert!(matches!(keys.open().unwrap().1, Origin::MemoryOnly(_)));
    let directory = home.path().join(DIRECTORY);
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join(KEY), "damaged").unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(directory.join(KEY), private).unwrap();
    let keys = Keys::Kept {
        directory: Some(home.path().to_owned()),
        or_memory: true,
    };
    assert!(refused(&keys).contains("holds no private key"));
}

#[test]
fn the_operators_files_are_taken_with_the_chain_or_refused_by_name() {
    let home = tempfile::tempdir().unwrap();
    let (certificate, key) = (
        home.path().join("full.pem"),
        home.path().join("private.pem"),
    );
    let own = new_key().unwrap();
    let chain = [
        certify(&own).unwrap().pem(),
        certify(&new_key().unwrap()).unwrap().pem(),
    ];
    fs::write(&certificate, chain.concat()).unwrap();
    let keys = Keys::Files {
        certificate: certificate.clone(),
        key: key.clone(),
    };
    assert!(refused(&keys).contains("private.pem"));
    fs::write(&key, own.serialize_pem()).unwrap();
    let (loaded, _) = keys.open().unwrap();
    assert_eq!(loaded.certified.cert.len(), 2);
    let expected = Fingerprint::of_public_key_info(&own.subject_public_key_info());
    assert_eq!(loaded.fingerprint, expected);
}
