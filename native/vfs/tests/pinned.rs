//! Blocks of the store that no checkpoint reaches: who needs them nevertheless, and that a
//! checkpoint never takes for granted what only such a file has.

use std::sync::Arc;

use devdev_vfs::{CHUNK_SIZE, Caller, Hold, NodeId, Outcome, Persist, Vfs, WriteFlags, sample};

fn vfs() -> Arc<Vfs> {
    sample::workspace(1 << 30)
}

fn create(vfs: &Vfs, name: &str) -> NodeId {
    let made = vfs.mknod(NodeId::ROOT, name.as_bytes(), 0o644, 0, Caller::default(), Hold::None);
    made.unwrap().attr.node
}

/// Stores the live state; returns how many chunks the store did not have.
fn checkpoint(vfs: &Vfs) -> usize {
    let mut persist = Persist::new(&vfs.freeze());
    persist.chunks().iter().for_each(|chunk| assert!(chunk.hash().is_some()));
    while persist.next_page().is_some() {}
    let chunks = persist.chunks().len();
    persist.committed();
    chunks
}

fn copy(vfs: &Vfs, from: NodeId, to: NodeId) {
    let copied = vfs.copy_file_range(from, 0, to, 0, CHUNK_SIZE).unwrap();
    assert!(matches!(copied, Outcome::Done(CHUNK_SIZE)));
}

/// A stored file of one chunk that is held and has no name any more, nor a checkpoint.
fn stored_orphan(vfs: &Vfs) -> NodeId {
    let file = create(vfs, "file");
    let data = vec![7; CHUNK_SIZE as usize];
    assert!(matches!(vfs.write(file, 0, &data, WriteFlags::default()), Ok(Outcome::Done(_))));
    assert_eq!(checkpoint(vfs), 1);
    vfs.hold(file).unwrap();
    vfs.unlink(NodeId::ROOT, b"file").unwrap();
    assert_eq!(checkpoint(vfs), 0);
    file
}

#[test]
fn blocks_of_open_files_without_a_name_are_pinned() {
    let vfs = vfs();
    let file = stored_orphan(&vfs);
    assert_eq!(vfs.pinned_blocks().len(), 1);
    vfs.forget(file, 1);
    assert_eq!(vfs.pinned_blocks(), []);
}

#[test]
fn a_copy_of_a_file_without_a_name_is_stored_again() {
    let vfs = vfs();
    let file = stored_orphan(&vfs);
    copy(&vfs, file, create(&vfs, "copy"));
    assert_eq!(checkpoint(&vfs), 1);
}

#[test]
fn what_is_copied_within_named_files_is_not_stored_again() {
    let vfs = vfs();
    let file = create(&vfs, "file");
    let data = vec![7; CHUNK_SIZE as usize];
    assert!(matches!(vfs.write(file, 0, &data, WriteFlags::default()), Ok(Outcome::Done(_))));
    assert_eq!(checkpoint(&vfs), 1);
    copy(&vfs, file, create(&vfs, "copy"));
    assert_eq!(checkpoint(&vfs), 0);
}

#[test]
fn what_is_copied_into_a_temporary_file_is_stored_when_that_gets_a_name() {
    let vfs = vfs();
    let file = create(&vfs, "file");
    let data = vec![7; CHUNK_SIZE as usize];
    assert!(matches!(vfs.write(file, 0, &data, WriteFlags::default()), Ok(Outcome::Done(_))));
    assert_eq!(checkpoint(&vfs), 1);
    let temporary = vfs.tmpfile(NodeId::ROOT, 0o644, Caller::default()).unwrap().attr.node;
    copy(&vfs, file, temporary);
    vfs.unlink(NodeId::ROOT, b"file").unwrap();
    assert_eq!(checkpoint(&vfs), 0);
    vfs.link(temporary, NodeId::ROOT, b"named", Hold::None).unwrap();
    assert_eq!(checkpoint(&vfs), 1);
}
