//! The process of a test's disk that is slow, full or fails on purpose.

fn main() -> anyhow::Result<()> {
    edgedeck_tests::disk::serve()
}
