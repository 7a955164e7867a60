//! Compiles the `.proto` with protox, so that no `protoc` needs to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["floodgate/v1/floodgate.proto"], ["proto"])?;
    prost_build::Config::new()
        .bytes([
            ".floodgate.v1.Event.payload",
            ".floodgate.v1.Request.raw",
            ".floodgate.v1.Header.value",
            ".floodgate.v1.HeldRequest.body",
            ".floodgate.v1.SealedRequest.sealed",
        ])
        .compile_fds(descriptors)?;
    Ok(())
}
