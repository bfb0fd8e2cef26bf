//! The command line: parse, call, print. Only here is anything printed, the environment read, or an exit code chosen.

mod account;
mod adapter;
mod banner;
mod compile;
mod config;
mod doctor;
mod key;
mod kit;
mod login;
mod passphrase;
mod remote;
mod serve;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Turns the AI chat websites you are signed in to into standard APIs.
#[derive(Debug, Parser)]
#[command(version, about, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Settings for every command; each wins over the environment and the file.
#[derive(Debug, Args)]
struct Options {
    /// The configuration file (else WEBAI_CONFIG, else ./config.yaml if it is there)
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder for keys, browser profiles and caches
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// The port to listen on
    #[arg(long, global = true)]
    port: Option<String>,
    /// error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Any key of the configuration, such as queue.imageLimit=3
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Load adapters that nobody approved (for development)
    #[arg(long, global = true)]
    allow_unapproved: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server (also without any command)
    Serve,
    /// Look at everything that the server needs, and say what mends what is wrong
    Doctor {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look up or change the admin key
    #[command(subcommand)]
    Key(KeyCommand),
    /// Make and look at adapters
    #[command(subcommand)]
    Adapter(adapter::Command),
    /// List, export and import the accounts of a running server
    #[command(subcommand)]
    Account(account::Command),
    /// Sign in to a site in a window on this desktop; the server must not run meanwhile
    Login(login::Options),
    /// Compile a component from stdin into a cache (the server's own helper)
    #[command(hide = true)]
    Compile {
        #[arg(long, value_name = "FOLDER")]
        cache: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Say what is wrong with it, if anything
    Check,
    /// Print what is in force: file, environment and flags together, as a file that says the same
    Show {
        /// Passwords and keys too
        #[arg(long)]
        secrets: bool,
    },
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Print the admin key
    Show,
    /// Make a new admin key; it counts from the next start
    Rotate,
}

/// What a wrong command line or configuration ends with.
const USAGE: u8 = 2;

/// Runs the program.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for; all else is a mistake.
            let asked_for = !error.use_stderr();
            let _ = error.print();
            return if asked_for { ExitCode::SUCCESS } else { ExitCode::from(USAGE) };
        }
    };
    if let Some(Command::Compile { cache }) = &cli.command {
        // Before the configuration: the helper is given none, and needs none.
        return compile::run(cache);
    }
    if let Some(Command::Doctor { json }) = &cli.command {
        // A configuration that does not load is for it to tell.
        return doctor::run(&cli.options, *json).unwrap_or_else(|error| {
            complain(&error);
            ExitCode::FAILURE
        });
    }
    let loaded = match config::load(&cli.options) {
        Ok(loaded) => loaded,
        Err(error) => {
            complain(&error);
            return ExitCode::from(USAGE);
        }
    };
    let result = match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&loaded, || config::load(&cli.options)),
        Command::Config(ConfigCommand::Check) => config::check(&loaded),
        Command::Config(ConfigCommand::Show { secrets }) => config::show(&cli.options, secrets),
        Command::Key(KeyCommand::Show) => key::show(&loaded.config),
        Command::Adapter(command) => adapter::run(&command, &loaded.config),
        Command::Account(command) => account::run(&command, &loaded.config),
        Command::Login(options) => login::run(&options, &loaded.config),
        Command::Compile { .. } | Command::Doctor { .. } => Ok(()),
        Command::Key(KeyCommand::Rotate) => key::rotate(&loaded.config),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// One line, or several, to stderr. That nobody reads them is no reason to fail.
fn complain(error: &anyhow::Error) {
    let _ = writeln!(std::io::stderr(), "webai2api: {error:#}");
}

/// To stdout.
fn print(text: &str) {
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}
