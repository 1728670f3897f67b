//! `nitro-elect eif`: making an enclave image, and looking into one.

use clap::Subcommand;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::eif::build::{self, Built, CMDLINE_DEFAULT, Plan};
use crate::eif::kernel::{ImageKind, Kernel};
use crate::eif::measure::Measurements;
use crate::eif::measurements_file::{self, Measured};
use crate::eif::read::{self, Eif, ReadError};
use crate::eif::{metadata, signature};
use crate::storage::atomic;
use nitro_elect_protocol::time::Wall;

use super::failure::{FAILED, Failure, USAGE};
use super::output::{Format, Stream, paint};

const AFTER_HELP: &str = "\
Examples:
  nitro-elect eif build --kernel bzImage --init nitro-elect-enclave --output nitro-elect.eif
  nitro-elect eif show nitro-elect.eif";

const BUILD_AFTER_HELP: &str = "\
The program becomes /init of an image that holds it, the modules under
/modules, and nothing else. The same inputs give the same bytes; the one time in
them is SOURCE_DATE_EPOCH, or 1970, and it is not measured. With a kernel of
Debian's, the image is for emulations alone, and says so.

`make eif` builds program and image in one go.

Examples:
  nitro-elect eif build --kernel bzImage --module nsm.ko \\
    --init nitro-elect-enclave --output nitro-elect.eif
  nitro-elect eif build --kernel bzImage --init nitro-elect-enclave \\
    --output nitro-elect.eif --measurements measurements.json

Exit codes: 0 written, 1 refused or failed, 2 wrong usage or an unreadable file";

const SHOW_AFTER_HELP: &str = "\
Any image will do, nitro-cli's too. Its table of sections, its checksum and its
signature are checked, and its measurements computed, not believed.

Examples:
  nitro-elect eif show nitro-elect.eif
  nitro-elect eif show --json nitro-elect.eif > measurements.json

Exit codes: 0 sound, 1 not a sound image, 2 wrong usage or an unreadable file";

/// Make an enclave image, or look into one
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Build(Box<BuildArgs>),
    Show(ShowArgs),
}

/// Make an image of a kernel and one static program; prints its measurements
#[derive(Debug, clap::Args)]
#[command(after_help = BUILD_AFTER_HELP)]
struct BuildArgs {
    /// The kernel: a bzImage (x86_64) or an Image (aarch64)
    #[arg(long, value_name = "FILE")]
    kernel: PathBuf,
    /// The program, linked statically
    #[arg(long, value_name = "FILE")]
    init: PathBuf,
    /// A module of that kernel, .ko or .ko.xz; repeat in the order in which they load
    #[arg(long = "module", value_name = "FILE")]
    modules: Vec<PathBuf>,
    /// The kernel's command line, which is measured
    #[arg(long, value_name = "TEXT", default_value = CMDLINE_DEFAULT)]
    cmdline: String,
    /// The image's name, for people
    #[arg(long, default_value = env!("CARGO_PKG_NAME"))]
    name: String,
    /// The image's version, for people
    #[arg(long, value_name = "VERSION", default_value = env!("CARGO_PKG_VERSION"))]
    image_version: String,
    /// Say that the image is for an emulation alone
    #[arg(long)]
    emulation: bool,
    /// The image to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Write the measurements into a file too, in nitro-cli's form
    #[arg(long, value_name = "FILE")]
    measurements: Option<PathBuf>,
    #[command(flatten)]
    format: Format,
}

/// Check an image, and print what is in it and what it measures to
#[derive(Debug, clap::Args)]
#[command(after_help = SHOW_AFTER_HELP)]
struct ShowArgs {
    /// The image
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    format: Format,
}

/// Does one of the two.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.action {
        Action::Build(args) => build(*args),
        Action::Show(args) => show(&args),
    }
}

fn build(args: BuildArgs) -> Result<ExitCode, Failure> {
    let plan = Plan {
        kernel: args.kernel,
        init: args.init,
        modules: args.modules,
        cmdline: args.cmdline,
        name: args.name,
        version: args.image_version,
        emulation: args.emulation,
        time: source_date()?,
    };
    let Built { bytes, measured, kernel } = build::build(&plan)?;
    write(&args.output, &bytes)?;
    if let Some(path) = &args.measurements {
        write(path, measurements_file::to_text(&measured).as_bytes())?;
    }
    if !args.format.json {
        let version = kernel.version.as_deref().unwrap_or("unknown");
        eprintln!("wrote {}: {} bytes, kernel {version}", args.output.display(), bytes.len());
        warn_of(measured.kind);
    }
    let mut json = measured_json(&measured);
    json["File"] = json!(args.output);
    args.format.print(&registers(&measured.measurements), &json)?;
    Ok(ExitCode::SUCCESS)
}

/// The time of the source: seconds since 1970 in the variable on which builds have agreed
/// (reproducible-builds.org/specs/source-date-epoch).
fn source_date() -> Result<Wall, Failure> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH") else { return Ok(Wall(0)) };
    let seconds = text.to_str().and_then(|text| text.parse::<u32>().ok());
    seconds.map(|seconds| Wall(u64::from(seconds) * 1000)).ok_or_else(|| {
        let what = format!("SOURCE_DATE_EPOCH is {text:?}, no number of seconds since 1970");
        Failure::new(USAGE, what, "unset it, or set it as in SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)")
    })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    atomic::replace(path, bytes, 0o644).map_err(|error| {
        let what = format!("could not write {}: {error}", path.display());
        Failure::new(FAILED, what, "check the path, its permissions and the disk")
    })
}

fn warn_of(kind: ImageKind) {
    if kind == ImageKind::Emulation {
        let warning = paint(Stream::Err, "33;1", "warning:");
        eprintln!("{warning} this image is for an emulation: its kernel does not find its devices on Nitro");
    }
}

fn registers(measurements: &Measurements) -> String {
    let lines: Vec<String> = measurements.pcrs().map(|(index, pcr)| format!("PCR{index} {pcr}")).collect();
    lines.join("\n")
}

/// The measurements in nitro-cli's form, which `manifest new --measurements` reads.
fn measured_json(measured: &Measured) -> Value {
    serde_json::from_str(&measurements_file::to_text(measured)).expect("what was written as JSON is JSON")
}

fn show(args: &ShowArgs) -> Result<ExitCode, Failure> {
    let bytes = read::load(&args.file).map_err(Failure::unreadable)?;
    let eif = Eif::parse(&bytes).map_err(|error| ReadError::Unsound { path: args.file.clone(), error })?;
    let kernel = Kernel::read(eif.kernel).ok();
    let says = kernel.as_ref().map_or(ImageKind::Nitro, Kernel::image_kind);
    let claims = eif.metadata.as_ref().and_then(metadata::claimed_kind);
    let kind = if claims == Some(ImageKind::Emulation) { ImageKind::Emulation } else { says };
    let shown = Shown { file: &args.file, eif: &eif, kernel, kind, len: bytes.len() };
    args.format.print(&shown.text(), &shown.json())?;
    Ok(ExitCode::SUCCESS)
}

/// A sound image as it is told.
struct Shown<'a> {
    file: &'a Path,
    eif: &'a Eif<'a>,
    kernel: Option<Kernel>,
    kind: ImageKind,
    len: usize,
}

impl Shown<'_> {
    fn text(&self) -> String {
        let eif = self.eif;
        let mut lines = vec![
            format!("{}: a sound image for {}, {} bytes", self.file.display(), eif.arch, self.len),
            format!("checksum      {:08x}, as stated", eif.crc),
            format!("proposes      {} CPUs, {} MiB", eif.cpus, eif.memory >> 20),
            format!("good for      {}", self.good_for()),
            format!("kernel        {}", self.kernel_version()),
            format!("command line  {}", eif.cmdline.escape_debug()),
            format!("signed        {}", self.signed()),
            "sections".into(),
        ];
        lines.extend(eif.sections.iter().enumerate().map(|(index, section)| {
            let (kind, at, len) = (section.kind.to_string(), section.offset, section.data.len());
            format!("  {index:>2}  {kind:<12}  at {at:>10}  {len:>10} bytes")
        }));
        lines.push(registers(&eif.measurements));
        lines.join("\n")
    }

    fn good_for(&self) -> &'static str {
        match self.kind {
            ImageKind::Nitro => "Nitro, as far as can be seen",
            ImageKind::Emulation => "EMULATION alone: its kernel does not find its devices on Nitro",
        }
    }

    fn kernel_version(&self) -> &str {
        let version = self.kernel.as_ref().and_then(|kernel| kernel.version.as_deref());
        version.unwrap_or("of no known version")
    }

    fn signed(&self) -> String {
        match &self.eif.signed {
            Some(signed) => format!("yes, and the signature over PCR0 holds ({})", signed.algorithm),
            None => "no".into(),
        }
    }

    fn json(&self) -> Value {
        let eif = self.eif;
        let mut json = measured_json(&Measured { measurements: eif.measurements, kind: self.kind });
        let section = |section: &read::Section<'_>| json!({ "Kind": section.kind.to_string(), "Offset": section.offset, "Size": section.data.len() });
        json["File"] = json!(self.file);
        json["Size"] = self.len.into();
        json["EifVersion"] = crate::eif::format::VERSION.into();
        json["Arch"] = eif.arch.to_string().into();
        json["Crc32"] = format!("{:08x}", eif.crc).into();
        json["DefaultMemory"] = eif.memory.into();
        json["DefaultCpus"] = eif.cpus.into();
        json["Cmdline"] = eif.cmdline.into();
        json["Kernel"] = json!(self.kernel.as_ref().and_then(|kernel| kernel.version.as_deref()));
        json["IsSigned"] = eif.signed.is_some().into();
        json["SignedBy"] = json!(eif.signed.as_ref().map(signature::Signed::certificate_pem));
        json["Metadata"] = json!(eif.metadata);
        json["Sections"] = eif.sections.iter().map(section).collect();
        json
    }
}
