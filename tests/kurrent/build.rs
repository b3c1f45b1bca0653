//! The server's side of the protocol, made from the files that the client crate `kurrentdb` ships; no `protoc` has to be installed.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use protox::prost::Message;
use serde_json::Value;

const CLIENT: &str = "kurrentdb";

fn main() -> Result<(), Box<dyn Error>> {
    let protos = protos()?;
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={}", protos.display());
    let files = ["streams.proto", "gossip.proto", "serverfeatures.proto"];
    let descriptors = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(&descriptors, protox::compile(files, [&protos])?.encode_to_vec())?;
    tonic_build::configure()
        .build_client(false)
        .bytes(["."])
        .include_file("protocol.rs")
        .file_descriptor_set_path(&descriptors)
        .skip_protoc_run()
        .compile_protos(&files.map(|file| protos.join(file)), &[&protos])?;
    Ok(())
}

/// Where the sources of the client are that this workspace is built with.
fn protos() -> Result<PathBuf, Box<dyn Error>> {
    let target = env::var("TARGET")?;
    let asked =
        ["metadata", "--format-version=1", "--locked", "--all-features", "--filter-platform", &target];
    let told =
        Command::new(env::var("CARGO")?).args(asked).current_dir(env::var("CARGO_MANIFEST_DIR")?).output()?;
    if !told.status.success() {
        return Err(String::from_utf8_lossy(&told.stderr).into());
    }
    let told: Value = serde_json::from_slice(&told.stdout)?;
    let client = told["packages"].as_array().into_iter().flatten().find(|package| package["name"] == CLIENT);
    let manifest = client.and_then(|client| client["manifest_path"].as_str());
    Ok(PathBuf::from(manifest.ok_or("the client is in no package of this workspace")?)
        .with_file_name("protos"))
}
