//! The S3-compatible endpoint, asked by the real client.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use anyhow::{Context, Result, ensure};
use weft::intake::inbox::inbox;
use weft::intake::s3::{Endpoint, Keys};

use crate::bench::Bench;

const ACCESS: &str = "WEFTDEPLOYS";
const SECRET: &str = "a secret of the test alone";

/// An endpoint whose uploads are made, and answered by the image they became.
struct Served<'a> {
    bench: &'a Bench,
    url: String,
    names: Receiver<String>,
}

impl<'a> Served<'a> {
    fn start(bench: &'a Bench) -> Result<Self> {
        let file = bench.directory().join("secret");
        fs::write(&file, SECRET)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        let (inbox, mut waiting) = inbox();
        let keys = Keys::read(ACCESS, &file)?;
        let bound = Endpoint::bind(([127, 0, 0, 1], 0).into(), keys, Arc::clone(&bench.intake), inbox);
        let endpoint = bench.block_on(bound)?;
        let url = format!("http://{}", endpoint.address()?);
        let (sender, names) = channel();
        let intake = Arc::clone(&bench.intake);
        bench.spawn(endpoint.serve());
        bench.spawn(async move {
            while let Some(received) = waiting.recv().await {
                let built = intake.build(&received.upload, &|_, _| ()).await;
                let outcome = built.map(|built| built.image.to_string()).map_err(|error| error.to_string());
                // The test may have ended.
                let _ = sender.send(received.upload.name.clone());
                received.answer(outcome);
            }
        });
        Ok(Self { bench, url, names })
    }

    fn aws(&self, secret: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new("aws");
        command.args(["--endpoint-url", &self.url, "--cli-read-timeout", "0", "s3"]).args(arguments);
        command.env("AWS_ACCESS_KEY_ID", ACCESS).env("AWS_SECRET_ACCESS_KEY", secret);
        command.env("AWS_DEFAULT_REGION", "us-east-1").env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("HOME", self.bench.directory()).env("AWS_MAX_ATTEMPTS", "1");
        command.output().context("start aws (pip install awscli)")
    }
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn the_aws_client_deploys_a_zip_and_is_told_what_is_wrong_with_one() -> Result<()> {
    let bench = Bench::new("s3")?;
    let served = Served::start(&bench)?;
    let good = bench.zip("cart.zip", &[("app.py", "def handler(event): return 'one'\n")])?.source;
    let good = good.to_str().context("a path")?;
    let copied = served.aws(SECRET, &["cp", good, "s3://weft/shop/cart.zip"])?;
    ensure!(copied.status.success(), "{}", words(&copied));
    assert_eq!(served.names.recv()?, "cart.zip");
    bench.leaves_only(1)?;
    let bad = bench.zip("bad.zip", &[("app.py", "1/0\n")])?.source;
    let refused = served.aws(SECRET, &["cp", bad.to_str().context("a path")?, "s3://weft/bad.zip"])?;
    ensure!(
        !refused.status.success() && words(&refused).contains("ZeroDivisionError"),
        "{}",
        words(&refused)
    );
    bench.leaves_only(1)?;
    let elsewhere = served.aws(SECRET, &["cp", good, "s3://other/cart.zip"])?;
    ensure!(words(&elsewhere).contains("there is one bucket, `weft`"), "{}", words(&elsewhere));
    let listed = served.aws(SECRET, &["ls"])?;
    ensure!(listed.status.success() && words(&listed).contains("weft"), "{}", words(&listed));
    bench.leaves_only(1)
}

#[test]
fn a_wrong_signature_is_refused_before_anything_is_kept() -> Result<()> {
    let bench = Bench::new("signature")?;
    let served = Served::start(&bench)?;
    let good = bench.zip("cart.zip", &[("app.py", "def handler(event): return 'one'\n")])?.source;
    let good = good.to_str().context("a path")?;
    let refused = served.aws("another secret", &["cp", good, "s3://weft/cart.zip"])?;
    ensure!(!refused.status.success(), "it was taken");
    ensure!(words(&refused).contains("SignatureDoesNotMatch"), "{}", words(&refused));
    ensure!(served.names.try_recv().is_err(), "it was handed in");
    bench.leaves_only(0)
}

#[test]
fn an_object_in_parts_is_joined_and_one_above_the_limit_is_refused() -> Result<()> {
    let bench = Bench::limited("parts", 24 << 20)?;
    let served = Served::start(&bench)?;
    // Random enough not to be packed: above the client's limit for sending it whole.
    let mut state = 1_u32;
    let noise: String = (0..20 << 20)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'a' + (state >> 24) as u8 % 26)
        })
        .collect();
    let upload =
        bench.folder("large", &[("app.py", "def handler(event): return 'one'\n"), ("noise", &noise)])?.source;
    let tar = upload.with_file_name("large.tar");
    let packed = Command::new("tar").arg("-C").arg(&upload).arg("-cf").arg(&tar).arg(".").status()?;
    ensure!(packed.success(), "tar failed");
    let copied = served.aws(SECRET, &["cp", tar.to_str().context("a path")?, "s3://weft/large.tar"])?;
    ensure!(copied.status.success(), "{}", words(&copied));
    assert_eq!(served.names.recv()?, "large.tar");
    fs::write(upload.join("more"), &noise)?;
    let packed = Command::new("tar").arg("-C").arg(&upload).arg("-cf").arg(&tar).arg(".").status()?;
    ensure!(packed.success(), "tar failed");
    let refused = served.aws(SECRET, &["cp", tar.to_str().context("a path")?, "s3://weft/large.tar"])?;
    ensure!(words(&refused).contains("at most 25165824 bytes"), "{}", words(&refused));
    bench.leaves_only(1)
}
