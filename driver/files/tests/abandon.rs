//! A process that ends without dropping its values. (Alone in this program: it is about the whole process.)

#![allow(clippy::unwrap_used)] // tests fail by panicking

use azote_files::{Inputs, Output, Pending, Socket, abandon};

#[test]
fn what_was_begun_is_gone_and_what_was_finished_or_is_anothers_stays() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let begun = Output::create(&at("begun"), &Inputs::new()).unwrap();
    Output::create(&at("finished"), &Inputs::new()).unwrap().finish().unwrap();
    let socket = Socket::claim(&at("socket")).unwrap();
    let replaced = Socket::claim(&at("replaced")).unwrap();
    std::fs::remove_file(at("replaced")).unwrap();
    std::fs::write(at("replaced"), "another's").unwrap();
    std::fs::create_dir(at("work")).unwrap();
    std::fs::write(at("work").join("half"), "half").unwrap();
    std::fs::write(at("lock"), "").unwrap();
    let work = [Pending::at(&at("work")).unwrap(), Pending::at(&at("lock")).unwrap()];
    abandon();
    let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["finished", "replaced"]);
    drop((begun, socket, replaced, work));
    assert_eq!(std::fs::read(at("replaced")).unwrap(), b"another's");
}
