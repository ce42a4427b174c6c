//! A certificate authority with an OCSP responder, both openssl's: what stands on the other end when ours is tested.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// An authority in a folder of its own.
#[derive(Debug)]
pub struct OpensslCa {
    dir: PathBuf,
    issued: Vec<Issued>,
}

#[derive(Debug)]
struct Issued {
    name: String,
    /// In hexadecimal.
    serial: String,
    revoked: bool,
}

/// A responder that runs; it ends with this.
#[derive(Debug)]
pub struct Responder(Child);

impl Drop for Responder {
    fn drop(&mut self) {
        // The test is over, well or not; nobody reads the outcome.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl OpensslCa {
    /// Makes one in this folder.
    #[must_use]
    pub fn new(dir: &Path) -> OpensslCa {
        fs::create_dir_all(dir).expect("folder");
        let ca = OpensslCa { dir: dir.to_owned(), issued: Vec::new() };
        let subject = format!("/CN=Authority of {}", dir.display().to_string().replace('/', "-"));
        ca.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 30",
            &["-subj", &subject],
        );
        ca
    }

    /// The one with this certificate and key (PEM), which is another program's: its responder answers for it.
    #[must_use]
    pub fn adopted(dir: &Path, certificate: &str, key: &str) -> OpensslCa {
        fs::create_dir_all(dir).expect("folder");
        fs::write(dir.join("ca.pem"), certificate).expect("file");
        fs::write(dir.join("ca.key"), key).expect("file");
        let ca = OpensslCa { dir: dir.to_owned(), issued: Vec::new() };
        ca.write_index();
        ca
    }

    /// A certificate that the other program made, by its serial number in hexadecimal.
    pub fn knows(&mut self, name: &str, serial: &str) {
        self.issued.push(Issued { name: name.to_owned(), serial: serial.to_owned(), revoked: false });
        self.write_index();
    }

    /// A file of this folder: `ca.pem`, `NAME.pem`, `NAME.key`, and `NAME.chain.pem` with the issuer behind.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes a certificate; `extensions` are lines as openssl's settings have them.
    pub fn issue(&mut self, name: &str, extensions: &str) {
        let subject = format!("/CN={name}");
        self.openssl(
            &format!("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr"),
            &["-subj", &subject],
        );
        fs::write(self.file("extensions"), format!("subjectAltName=DNS:{name}\n{extensions}\n"))
            .expect("file");
        let serial = format!("{:02X}", self.issued.len() + 16);
        self.openssl(
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -set_serial 0x{serial} -days 20 -extfile extensions \
                 -out {name}.pem"
            ),
            &[],
        );
        let read = |file: &str| fs::read_to_string(self.file(file)).expect("file");
        let chain = read(&format!("{name}.pem")) + &read("ca.pem");
        fs::write(self.file(&format!("{name}.chain.pem")), chain).expect("file");
        self.issued.push(Issued { name: name.to_owned(), serial, revoked: false });
        self.write_index();
    }

    /// Revokes a certificate: the responder says so from then on.
    pub fn revoke(&mut self, name: &str) {
        for issued in self.issued.iter_mut().filter(|issued| issued.name == name) {
            issued.revoked = true;
        }
        self.write_index();
    }

    /// The responder's answer (DER) about a certificate, signed by `signer` (`ca` or a certificate's name); it holds a day.
    #[must_use]
    pub fn answer(&self, name: &str, signer: &str) -> Vec<u8> {
        self.openssl(&format!("ocsp -issuer ca.pem -cert {name}.pem -no_nonce -reqout request.der"), &[]);
        self.openssl(
            &format!(
                "ocsp -index index.txt -CA ca.pem -rsigner {signer}.pem -rkey {signer}.key -reqin request.der -respout \
                 answer.der -ndays 1"
            ),
            &[],
        );
        fs::read(self.file("answer.der")).expect("an answer")
    }

    /// Serves answers over HTTP, each holding so many minutes.
    #[must_use]
    pub fn serve(&self, port: u16, signer: &str, minutes: u32) -> Responder {
        let child = Command::new("openssl")
            .current_dir(&self.dir)
            .args(["ocsp", "-index", "index.txt", "-CA", "ca.pem"])
            .args(["-rsigner", &format!("{signer}.pem"), "-rkey", &format!("{signer}.key")])
            .args(["-port", &port.to_string(), "-nmin", &minutes.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.file("responder.log")).expect("log"))
            .spawn()
            .expect("openssl is installed");
        Responder(child)
    }

    fn write_index(&self) {
        let mut index = String::new();
        for issued in &self.issued {
            let (state, revoked) = if issued.revoked { ('R', "250101000000Z") } else { ('V', "") };
            // Writing to a String cannot fail.
            let _ = writeln!(
                index,
                "{state}\t391231235959Z\t{revoked}\t{}\tunknown\t/CN={}",
                issued.serial, issued.name
            );
        }
        fs::write(self.file("index.txt"), index).expect("index");
    }

    fn openssl(&self, words: &str, more: &[&str]) {
        let output = Command::new("openssl")
            .current_dir(&self.dir)
            .args(words.split_whitespace())
            .args(more)
            .stdin(Stdio::null())
            .output()
            .expect("openssl is installed");
        assert!(output.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
