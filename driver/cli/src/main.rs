//! The command line `azote`: see `azote --help`.

#![forbid(unsafe_code)]

use std::{io, process::ExitCode};

use azote_cli::{
    Error, Result,
    args::{Cli, Command, Serve},
    card::Card,
    commands,
    machine::Machine,
    nbd::Stop,
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
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("azote: {e}");
            e.exit_code()
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let card = cli.card()?;
    match &cli.command {
        Command::Vf(command) => return commands::vf::run(&azote_vf::Host::default(), command, &mut io::stdout()),
        Command::Model(arguments) => return commands::model::run(arguments, &mut io::stdout()),
        Command::Ctl { socket, request } => return commands::ctl::run(socket, *request, &mut io::stdout()),
        Command::Completions { shell } => return commands::help::completions(*shell, &mut io::stdout()),
        Command::Man { folder } => return commands::help::man(folder),
        _ => {}
    }
    let stop = Stop::default();
    if matches!(cli.command, Command::Nbd(_) | Command::Serve(_) | Command::Run(_)) {
        let handle = stop.clone();
        ctrlc::set_handler(move || handle.stop())
            .map_err(|e| Error::Io { what: "setting up the signal handler".into(), source: io::Error::other(e) })?;
    }
    if let Command::Run(guest) = &cli.command {
        return commands::run::run(guest, &stop);
    }
    if let Command::Serve(Serve { target, socket_dir, socket, .. }) = &cli.command {
        if !card.sim {
            return Err(Error::Usage(
                "a real card needs no server: `azote vf bind` and `azote run --device`; --sim simulates one".into(),
            ));
        }
        let places = commands::serve::Places { targets: target, folder: socket_dir.as_deref(), sockets: socket };
        return commands::serve::run(&SimCard::start(&card)?, places, &mut io::stdout(), &stop);
    }
    let card: Box<dyn Card> = if card.sim { Box::new(SimCard::start(&card)?) } else { Box::new(Machine::default()) };
    // Not locked: threads of a server may write, too.
    commands::run(&*card, &cli.command, &mut io::stdout(), &stop)
}
