//! Checks that the checked-in code is generated from the `.proto` files. `LAKEWRIGHT_REGENERATE=1`
//! generates it again.

use std::path::Path;

#[test]
fn the_generated_code_is_current() {
    let root = Path::new(".");
    let files = ["coordinator", "plan", "report", "source"].map(|file| format!("lakewright/v1/{file}.proto"));
    let descriptors = protox::compile(files, [root]).unwrap();
    let out = std::env::temp_dir().join(format!("lakewright-proto-{}", std::process::id()));
    std::fs::create_dir_all(&out).unwrap();
    tonic_prost_build::configure().out_dir(&out).compile_fds(descriptors).unwrap();
    let generated = std::fs::read_to_string(out.join("lakewright.v1.rs")).unwrap();
    std::fs::remove_dir_all(&out).unwrap();

    let checked_in = root.join("src/generated/lakewright.v1.rs");
    if std::env::var_os("LAKEWRIGHT_REGENERATE").is_some() {
        std::fs::write(&checked_in, &generated).unwrap();
    }
    let current = std::fs::read_to_string(&checked_in).unwrap();
    assert!(current == generated, "run `LAKEWRIGHT_REGENERATE=1 cargo test -p lakewright-proto`");
}
