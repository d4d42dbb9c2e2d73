//! Extended attributes: which names there may be on what, and their limits.

use std::sync::Arc;

use crate::attr::{Caller, S_IFDIR, S_IFREG};
use crate::errno::{Errno, Result};
use crate::ids::NodeId;
use crate::inode::Inode;
use crate::record::{XATTR_NAME_MAX, XATTR_VALUE_MAX};
use crate::room;
use crate::types::SetXattr;
use crate::vfs::Vfs;

/// Most that the names and values of one inode may take; they count to no other limit.
const XATTRS_MAX: usize = 128 * 1024;
/// The kernel's list of names holds no more.
const XATTR_LIST_MAX: usize = 64 * 1024;
const CAPABILITY: &[u8] = b"security.capability";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Space {
    User,
    Trusted,
    Security,
}

/// What a name says: its namespace, and whether anything follows the prefix.
#[derive(Clone, Copy)]
struct Name {
    space: Space,
    whole: bool,
}

// Takes a name apart, checked as the kernel does.
fn parse(name: &[u8]) -> Result<Name> {
    if name.is_empty() || name.len() > XATTR_NAME_MAX {
        return Err(Errno::Range);
    }
    let spaces: [(&[u8], Space); 3] =
        [(b"user.", Space::User), (b"trusted.", Space::Trusted), (b"security.", Space::Security)];
    let Some((prefix, space)) = spaces.into_iter().find(|s| name.starts_with(s.0)) else {
        return Err(Errno::OpNotSupp);
    };
    if name.contains(&0) {
        return Err(Errno::Inval);
    }
    let whole = name.len() > prefix.len();
    Ok(Name { space, whole })
}

impl Name {
    // To be asked after permission: the kernel finds that out later.
    fn check(self) -> Result<()> {
        if self.whole { Ok(()) } else { Err(Errno::Inval) }
    }
}

fn has_user_space(inode: &Inode) -> bool {
    matches!(inode.kind(), S_IFREG | S_IFDIR)
}

/// File capabilities do not outlive a change of content or owner.
pub(crate) fn drop_capability(inode: &mut Inode) {
    if inode.xattrs.as_ref().is_some_and(|all| all.contains_key(CAPABILITY)) {
        remove(inode, CAPABILITY);
    }
}

fn remove(inode: &mut Inode, name: &[u8]) -> bool {
    let Some(all) = &mut inode.xattrs else { return false };
    if !all.contains_key(name) {
        return false;
    }
    let all = Arc::make_mut(all);
    all.remove(name);
    if all.is_empty() {
        inode.xattrs = None;
    }
    inode.weigh();
    true
}

fn set(inode: &mut Inode, name: &[u8], value: &[u8], flags: SetXattr) -> Result<()> {
    let old = inode.xattrs.as_ref().and_then(|all| all.get(name));
    match old {
        Some(_) if flags.create => return Err(Errno::Exist),
        None if flags.replace => return Err(Errno::NoData),
        _ => {}
    }
    let all = inode.xattrs.iter().flat_map(|all| all.iter()).filter(|(n, _)| ***n != *name);
    let (names, values) = all.fold((0, 0), |sum, (n, v)| (sum.0 + n.len() + 1, sum.1 + v.len()));
    let names = names + name.len() + 1;
    if names > XATTR_LIST_MAX || names + values + value.len() > XATTRS_MAX {
        return Err(Errno::NoSpc);
    }
    room::check()?;
    Arc::make_mut(inode.xattrs.get_or_insert_default()).insert(name.into(), value.into());
    inode.weigh();
    Ok(())
}

impl Vfs {
    fn xattr_name(&self, name: &[u8]) -> Result<Name> {
        if self.xattrs { parse(name) } else { Err(Errno::OpNotSupp) }
    }

    /// The value of an extended attribute. ENODATA when there is none.
    pub fn getxattr(&self, node: NodeId, name: &[u8]) -> Result<Vec<u8>> {
        let parsed = self.xattr_name(name)?;
        self.view(node, |inode| {
            if parsed.space == Space::User && !has_user_space(inode) {
                return Err(Errno::NoData);
            }
            parsed.check()?;
            let value = inode.xattrs.as_ref().and_then(|all| all.get(name));
            value.map(|value| value.to_vec()).ok_or(Errno::NoData)
        })?
    }

    /// Sets an extended attribute.
    pub fn setxattr(
        &self,
        node: NodeId,
        name: &[u8],
        value: &[u8],
        flags: SetXattr,
        caller: Caller,
    ) -> Result<()> {
        let parsed = self.xattr_name(name)?;
        if value.len() > XATTR_VALUE_MAX {
            return Err(Errno::TooBig);
        }
        self.change_xattr(node, parsed, caller, |inode| set(inode, name, value, flags))
    }

    /// The names of all extended attributes that the caller may see, in order.
    pub fn listxattr(&self, node: NodeId, caller: Caller) -> Result<Vec<Box<[u8]>>> {
        if !self.xattrs {
            return Err(Errno::OpNotSupp);
        }
        let visible = |name: &[u8]| caller.uid == 0 || !name.starts_with(b"trusted.");
        self.view(node, |inode| {
            let names = inode.xattrs.iter().flat_map(|all| all.keys());
            names.filter(|name| visible(name)).cloned().collect()
        })
    }

    /// Removes an extended attribute.
    pub fn removexattr(&self, node: NodeId, name: &[u8], caller: Caller) -> Result<()> {
        let parsed = self.xattr_name(name)?;
        self.change_xattr(node, parsed, caller, |inode| {
            if remove(inode, name) { Ok(()) } else { Err(Errno::NoData) }
        })
    }

    fn change_xattr(
        &self,
        node: NodeId,
        name: Name,
        caller: Caller,
        change: impl FnOnce(&mut Inode) -> Result<()>,
    ) -> Result<()> {
        if name.space == Space::Trusted && caller.uid != 0 {
            return Err(Errno::Perm);
        }
        let pass = self.gate.enter();
        let now = self.clock.now();
        self.change(node, |inode, spot| {
            if name.space == Space::User && !has_user_space(inode) {
                return Err(Errno::Perm);
            }
            name.check()?;
            change(inode)?;
            inode.ctime = now;
            if spot.in_live_tree {
                pass.changed(0);
            }
            Ok(())
        })?
    }
}
