//! One connection to a scripted clamd.

use std::{io, sync::Arc};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    Ask, Mode, Step,
    intake::Intake,
    peer::Peer,
    script::Course,
    state::{Scanning, State},
};

/// Whether more can be asked on a connection.
#[derive(PartialEq, Eq)]
enum Then {
    GoOn,
    End,
}

pub(super) struct Conversation {
    peer: Box<dyn Peer>,
    state: Arc<State>,
    /// Commands so far, in a session.
    session: Option<u32>,
}

impl Conversation {
    pub(super) fn new(peer: Box<dyn Peer>, state: Arc<State>) -> Self {
        Self { peer, state, session: None }
    }

    /// Obeys until either side has had enough; a client that leaves is no failure.
    pub(super) async fn run(mut self) {
        self.state.connected();
        let _ended = self.obey_all().await;
    }

    async fn obey_all(&mut self) -> io::Result<()> {
        loop {
            let command = self.command().await?;
            match command.as_slice() {
                b"IDSESSION" => {
                    self.state.session_begun();
                    self.session = Some(0);
                    continue;
                }
                b"END" => return Ok(()),
                _ => (),
            }
            self.session = self.session.map(|commands| commands + 1);
            if self.obey(&command).await? == Then::End || self.session.is_none() {
                return Ok(());
            }
        }
    }

    /// The next command, without what marks its beginning and its end.
    async fn command(&mut self) -> io::Result<Vec<u8>> {
        let mut command = Vec::new();
        loop {
            match self.peer.read_u8().await? {
                0 | b'\n' => break,
                byte => command.push(byte),
            }
        }
        let marked = matches!(command.first(), Some(b'z' | b'n'));
        Ok(command.split_off(usize::from(marked)))
    }

    async fn obey(&mut self, command: &[u8]) -> io::Result<Then> {
        let intake = match command {
            b"INSTREAM" => Intake::stream(&mut *self.peer).await?,
            b"FILDES" => match Intake::descriptor(&mut *self.peer).await? {
                Some(_) if !self.state.may_read_descriptors() => {
                    return self.send(b"{}: Access denied. ERROR\0", "fd[9]").await;
                }
                Some(intake) => intake,
                None => return self.send(b"{id}No file descriptor received. ERROR\0", "").await,
            },
            _ => return self.answer(Ask::of_command(command, self.session.is_some()), Intake::none()).await,
        };
        let ask = Ask::of_bytes(&intake.bytes);
        let _scanning = (ask == Ask::Medium).then(|| Scanning::begin(&self.state));
        self.answer(ask, intake).await
    }

    async fn answer(&mut self, ask: Ask, mut intake: Intake) -> io::Result<Then> {
        self.state.asked(ask);
        let mut script = self.state.script(ask);
        let mut is_new = ask == Ask::Medium;
        let steps = loop {
            match script.course {
                Course::Steps(steps) => break steps,
                Course::ByContent(choose) => {
                    self.take_all(&mut intake, &mut is_new).await?;
                    script = choose(&intake.bytes);
                }
            }
        };
        for step in steps.iter() {
            match step {
                Step::ReadAll => self.take_all(&mut intake, &mut is_new).await?,
                step => {
                    if self.play(step, intake.name).await? == Then::End {
                        return Ok(Then::End);
                    }
                }
            }
        }
        self.state.answered(ask);
        Ok(Then::GoOn)
    }

    async fn take_all(&mut self, intake: &mut Intake, is_new: &mut bool) -> io::Result<()> {
        intake.rest(&mut *self.peer).await?;
        if std::mem::take(is_new) {
            self.state.media.send_modify(|media| media.push(intake.bytes.clone()));
        }
        Ok(())
    }

    async fn play(&mut self, step: &Step, name: &str) -> io::Result<Then> {
        match step {
            Step::ReadAll => (),
            Step::Send(bytes) => return self.send(bytes, name).await,
            Step::SendSplit(bytes) => {
                for byte in self.render(bytes, name) {
                    self.peer.write_u8(byte).await?;
                    self.peer.flush().await?;
                }
            }
            Step::Signal(reached) => reached.notify_one(),
            Step::Wait(until) => until.notified().await,
            Step::HalfClose => self.peer.shutdown().await?,
            Step::Close => return Ok(Then::End),
            Step::Reset => {
                self.peer.end_with_reset();
                return Ok(Then::End);
            }
            Step::Hang => {
                tokio::io::copy(&mut self.peer, &mut tokio::io::sink()).await?;
                return Ok(Then::End);
            }
            Step::Die => {
                self.state.mode.send_replace(Mode::Dead);
                return Ok(Then::End);
            }
        }
        Ok(Then::GoOn)
    }

    async fn send(&mut self, bytes: &[u8], name: &str) -> io::Result<Then> {
        self.peer.write_all(&self.render(bytes, name)).await?;
        self.peer.flush().await?;
        Ok(Then::GoOn)
    }

    /// Puts in what a script cannot know.
    fn render(&self, bytes: &[u8], name: &str) -> Vec<u8> {
        let id = self.session.map_or_else(String::new, |commands| format!("{commands}: "));
        let name = format!("{id}{name}");
        replace(&replace(bytes, b"{id}", id.as_bytes()), b"{}", name.as_bytes())
    }
}

fn replace(mut bytes: &[u8], mark: &[u8], with: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    while let Some(at) = bytes.windows(mark.len()).position(|window| window == mark) {
        replaced.extend([&bytes[..at], with].concat());
        bytes = &bytes[at + mark.len()..];
    }
    [replaced.as_slice(), bytes].concat()
}
