//! Servers whose certificate is signed by an authority that the system trusts.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::programs::{Ended, Home, Server, run};

/// A certificate authority, as the system finds it.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// Starts a server with a certificate for this name.
    fn server(&self, port: u16, name: &str, place: &Path) -> Server {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |name: &str, text: String| {
            let path = place.join(name);
            fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let certificate = file("certificate.pem", certificate.pem());
        let key = file("key.pem", key.serialize_pem());
        Server::with(port, &["--tls-cert", &certificate, "--tls-key", &key])
    }
}

#[test]
fn a_certified_server_may_change_its_key_and_must_stay_certified() {
    let (home, authority) = (Home::new(), Authority::new());
    let place = tempfile::tempdir().unwrap();
    let trusted = place.path().join("trusted.pem");
    fs::write(&trusted, &authority.pem).unwrap();
    let send = |host: &str, port: u16| -> Ended {
        let port = port.to_string();
        let mut client = home.client(&[host, &port, "bot", "1"]);
        run(client.env("SSL_CERT_FILE", &trusted))
    };
    let server = authority.server(0, "localhost", place.path());
    send("localhost", server.port).is_good(&[]);
    let known = home.known_hosts();
    assert!(
        known.contains(&format!("localhost:{} system ", server.port)),
        "{known}"
    );

    // Another key, with a certificate as well.
    let server = authority.server(server.end(), "localhost", place.path());
    send("localhost", server.port).is_good(&[]);

    // A self-signed certificate, or one for another name: the server is known to have a valid one.
    let server = authority.server(server.end(), "elsewhere.example", place.path());
    send("localhost", server.port).is_out(&["its certificate is for another name"]);
    let server = Server::on(server.end());
    let out = send("localhost", server.port);
    out.is_out(&[
        "This system no longer vouches for",
        "no longer do",
        &server.key.to_string(),
    ]);
    // The user accepts it.
    home.type_command(&out.command()).is_in();
    send("localhost", server.port).is_good(&[]);
}
