//! The command line `azote`: see `azote --help`.

#![forbid(unsafe_code)]

use std::{io, process::ExitCode, time::Duration};

use azote_cli::{
    Error, Result, Stop,
    args::{Cli, Command, Serve},
    card::Card,
    commands,
    machine::Machine,
    sim::SimCard,
};
use clap::Parser;
use tracing::level_filters::LevelFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = match cli.verbose {
        0 => LevelFilter::ERROR,
        1 => LevelFilter::WARN,
        _ => LevelFilter::DEBUG,
    };
    tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).without_time().with_target(false).init();
    let stop = Stop::default();
    let result = run(&cli, &stop);
    match (result, stop.signal()) {
        (Ok(()), _) => ExitCode::SUCCESS,
        // What it failed of then is only how it was interrupted. The status is a shell's.
        (Err(_), Some(signal)) => {
            eprintln!("azote: ended by {}", azote_cli::stop::name(signal));
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(1))
        }
        (Err(e), None) => {
            eprintln!("azote: {e}");
            e.exit_code()
        }
    }
}

/// How long a command that was told to end may take to unwind, until it is ended at once; and with waves, which are compressed
/// and written then.
const PATIENCE: Duration = Duration::from_secs(2);
const PATIENCE_WITH_WAVES: Duration = Duration::from_secs(60);

fn run(cli: &Cli, stop: &Stop) -> Result<()> {
    let card = cli.card()?;
    stop.watch(if card.trace.is_some() { PATIENCE_WITH_WAVES } else { PATIENCE })?;
    match &cli.command {
        Command::Vf(command) => return commands::vf::run(&azote_vf::Host::default(), command, &mut io::stdout()),
        Command::Model(arguments) => return commands::model::run(arguments, &mut io::stdout()),
        Command::Verilog { vfs, output } => {
            return commands::model::verilog(*vfs, output.as_deref(), &mut io::stdout());
        }
        Command::Ctl { socket, request } => return commands::ctl::run(socket, *request, &mut io::stdout()),
        Command::Completions { shell } => return commands::help::completions(*shell, &mut io::stdout()),
        Command::Man { folder } => return commands::help::man(folder),
        _ => {}
    }
    if let Command::Run(guest) = &cli.command {
        return commands::run::run(guest, stop);
    }
    if let Command::Serve(Serve { target, socket_dir, socket, json, .. }) = &cli.command {
        if !card.sim {
            return Err(Error::Usage(
                "a real card needs no server: `azote vf bind` and `azote run --device`; --sim simulates one".into(),
            ));
        }
        let places = commands::serve::Places { targets: target, folder: socket_dir.as_deref(), sockets: socket };
        let card = SimCard::start(&card, stop)?;
        card.serves();
        let result = commands::serve::run(&card, places, *json, &mut io::stdout(), stop);
        return finish(&card, result, stop);
    }
    let card: Box<dyn Card> = if card.sim {
        let card = SimCard::start(&card, stop)?;
        if matches!(cli.command, Command::Nbd(_)) {
            card.serves();
        }
        Box::new(card)
    } else {
        Box::new(Machine::default())
    };
    // Not locked: threads of a server may write, too.
    let result = commands::run(&*card, &cli.command, &mut io::stdout(), stop);
    finish(&*card, result, stop)
}

/// The end of a card, whatever came of the command.
fn finish(card: &dyn Card, result: Result<()>, stop: &Stop) -> Result<()> {
    stop.is_at_the_end();
    let finished = card.finish();
    result.and(finished)
}
