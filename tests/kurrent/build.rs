//! The server's side of the protocol, made from its own files; no `protoc` has to be installed.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use protox::prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=protos");
    let files = ["streams.proto", "gossip.proto", "serverfeatures.proto"];
    let descriptors = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(&descriptors, protox::compile(files, ["protos"])?.encode_to_vec())?;
    tonic_build::configure()
        .build_client(false)
        .bytes(["."])
        .include_file("protocol.rs")
        .file_descriptor_set_path(&descriptors)
        .skip_protoc_run()
        .compile_protos(&files, &["protos"])?;
    Ok(())
}
