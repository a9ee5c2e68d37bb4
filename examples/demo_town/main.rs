//! A throwaway town to watch; not written yet, but the stand-ins it is populated with are.

mod standin;

fn main() {
    let mut words = std::env::args();
    let called_by = words.next().unwrap_or_default();
    let name = called_by.rsplit('/').next().unwrap_or_default();
    let args: Vec<String> = words.collect();
    if let Some(code) = standin::play(name, &args) {
        std::process::exit(code);
    }
    println!("not written yet");
}
