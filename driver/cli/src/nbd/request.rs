//! What a request asks for, and whether it may: the rules of the protocol document, "Request types" and "Command flags".

use super::{
    export::Export,
    job::Op,
    wire::{command, errno, flag, transmission},
};

/// A request as it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub flags: u16,
    pub kind: u16,
    pub cookie: u64,
    pub offset: u64,
    pub len: u32,
}

/// What a connection has agreed on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Terms {
    /// Structured replies.
    pub structured: bool,
    /// It is told where there are holes.
    pub allocation: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// By the engine.
    Job(Op),
    /// Here: holes are looked up, one or many.
    Status { one: bool },
}

/// The task of a request, or the error that it gets.
pub(super) fn check(export: &Export, terms: Terms, request: &Request) -> Result<Task, u32> {
    let offered = export.flags(terms.structured);
    let has = |flag: u16| offered & flag != 0;
    let (needs, allowed, task) = match request.kind {
        command::READ => (0, if has(transmission::SEND_DF) { flag::DF } else { 0 }, Task::Job(Op::Read)),
        command::WRITE => (0, 0, Task::Job(Op::Write)),
        command::FLUSH => (transmission::SEND_FLUSH, 0, Task::Job(Op::Flush)),
        command::TRIM => (transmission::SEND_TRIM, 0, Task::Job(Op::Trim)),
        command::WRITE_ZEROES => {
            let hole = request.flags & flag::NO_HOLE == 0;
            let fast = if has(transmission::SEND_FAST_ZERO) { flag::FAST_ZERO } else { 0 };
            (transmission::SEND_WRITE_ZEROES, flag::NO_HOLE | fast, Task::Job(Op::Zeroes { hole }))
        }
        command::BLOCK_STATUS if terms.allocation => {
            (0, flag::REQ_ONE, Task::Status { one: request.flags & flag::REQ_ONE != 0 })
        }
        _ => return Err(errno::EINVAL),
    };
    // A write to what is read-only says so, whatever else is wrong with it.
    if matches!(task, Task::Job(op) if op.writes()) && export.read_only {
        return Err(errno::EPERM);
    }
    // Where it was offered, FUA may come with every command; it means something with those that write.
    let fua = if has(transmission::SEND_FUA) { flag::FUA } else { 0 };
    if request.flags & !(allowed | fua) != 0 || (needs != 0 && !has(needs)) {
        return Err(errno::EINVAL);
    }
    if task == Task::Job(Op::Flush) {
        return if request.offset == 0 && request.len == 0 { Ok(task) } else { Err(errno::EINVAL) };
    }
    let (block, len) = (u64::from(export.block), u64::from(request.len));
    if !request.offset.is_multiple_of(block) || !len.is_multiple_of(block) {
        return Err(errno::EINVAL);
    }
    if task == Task::Job(Op::Read) && request.len > super::wire::MAX_LENGTH {
        return Err(errno::EINVAL);
    }
    match request.offset.checked_add(len) {
        Some(end) if end <= export.size && (len > 0 || !matches!(task, Task::Status { .. })) => Ok(task),
        Some(end) if end <= export.size => Err(errno::EINVAL),
        _ if matches!(task, Task::Job(Op::Write | Op::Zeroes { .. })) => Err(errno::ENOSPC),
        _ => Err(errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::super::export::Abilities;
    use super::*;

    const ALL: Abilities = Abilities { zeroes: true, trim: true };

    fn export(read_only: bool, abilities: Abilities) -> Export {
        Export {
            name: "vf0".into(),
            description: String::new(),
            size: 1 << 20,
            block: 512,
            read_only,
            abilities,
            allocation: None,
            jobs: std::sync::mpsc::channel().0,
        }
    }

    fn ask(export: &Export, terms: Terms, kind: u16, flags: u16, offset: u64, len: u32) -> Result<Task, u32> {
        check(export, terms, &Request { flags, kind, cookie: 1, offset, len })
    }

    const STRUCTURED: Terms = Terms { structured: true, allocation: true };

    #[test]
    fn each_command_takes_its_own_flags_and_no_other() {
        let export = export(false, ALL);
        let simple = Terms::default();
        for (kind, terms, good) in [
            (command::READ, simple, 0b00001),
            (command::READ, STRUCTURED, 0b00101),
            (command::WRITE, STRUCTURED, 0b00001),
            (command::TRIM, STRUCTURED, 0b00001),
            (command::WRITE_ZEROES, STRUCTURED, 0b10011),
            (command::BLOCK_STATUS, STRUCTURED, 0b01001),
        ] {
            for bit in 0..16 {
                let answer = ask(&export, terms, kind, 1 << bit, 0, 512);
                assert_eq!(answer.is_ok(), good & 1 << bit != 0, "command {kind}, flag {bit}: {answer:?}");
                assert!(answer.is_ok() || answer == Err(errno::EINVAL));
            }
        }
        assert!(ask(&export, simple, command::FLUSH, flag::FUA, 0, 0).is_ok());
        assert_eq!(ask(&export, simple, command::FLUSH, flag::DF, 0, 0), Err(errno::EINVAL));
    }

    #[test]
    fn what_was_not_offered_is_refused() {
        let poor = export(false, Abilities::default());
        for kind in [command::TRIM, command::WRITE_ZEROES, command::BLOCK_STATUS, command::DISC, 5, 8, 9, 0xffff] {
            assert_eq!(ask(&poor, Terms::default(), kind, 0, 0, 512), Err(errno::EINVAL), "{kind}");
        }
        let read_only = export(true, ALL);
        assert_eq!(ask(&read_only, STRUCTURED, command::READ, flag::FUA, 0, 512), Err(errno::EINVAL));
        for kind in [command::WRITE, command::TRIM, command::WRITE_ZEROES] {
            assert_eq!(ask(&read_only, STRUCTURED, kind, 0, 0, 512), Err(errno::EPERM), "{kind}");
        }
        assert!(ask(&read_only, STRUCTURED, command::FLUSH, 0, 0, 0).is_ok());
        assert!(ask(&read_only, STRUCTURED, command::BLOCK_STATUS, 0, 0, 512).is_ok());
    }

    #[test]
    fn a_hole_is_made_unless_it_is_not_wanted() {
        let export = export(false, ALL);
        let zeroes = |flags| ask(&export, STRUCTURED, command::WRITE_ZEROES, flags, 0, 512);
        assert_eq!(zeroes(0), Ok(Task::Job(Op::Zeroes { hole: true })));
        assert_eq!(zeroes(flag::NO_HOLE), Ok(Task::Job(Op::Zeroes { hole: false })));
    }

    #[test]
    fn what_reaches_beyond_the_end_gets_the_error_of_its_kind() {
        let export = export(false, ALL);
        for (kind, error) in [
            (command::READ, errno::EINVAL),
            (command::WRITE, errno::ENOSPC),
            (command::TRIM, errno::EINVAL),
            (command::WRITE_ZEROES, errno::ENOSPC),
            (command::BLOCK_STATUS, errno::EINVAL),
        ] {
            for offset in [(1 << 20) - 512, 1 << 20, u64::MAX - 511] {
                assert_eq!(ask(&export, STRUCTURED, kind, 0, offset, 1024), Err(error), "{kind} at {offset}");
            }
            assert_eq!(ask(&export, STRUCTURED, kind, 0, 1, 512), Err(errno::EINVAL), "{kind}: not aligned");
            assert!(ask(&export, STRUCTURED, kind, 0, (1 << 20) - 512, 512).is_ok());
        }
        assert_eq!(ask(&export, STRUCTURED, command::BLOCK_STATUS, 0, 0, 0), Err(errno::EINVAL));
        for (offset, len) in [(512, 0), (0, 512)] {
            assert_eq!(ask(&export, STRUCTURED, command::FLUSH, 0, offset, len), Err(errno::EINVAL));
        }
        let long = super::super::wire::MAX_LENGTH + 512;
        let mut big = export;
        big.size = 1 << 40;
        assert_eq!(ask(&big, STRUCTURED, command::READ, 0, 0, long), Err(errno::EINVAL));
        assert!(ask(&big, STRUCTURED, command::WRITE_ZEROES, 0, 0, !511).is_ok(), "it carries no data");
    }
}
