"""Entry point of `ocr-services`."""

import typer

from services.cli import dlq, keys, tokens, webhooks
from services.cli.doctor import doctor
from services.cli.erase import erase
from services.cli.local_stack import add_data_option
from services.cli.migrate import migrate
from services.cli.process import process
from services.cli.provision import provision
from services.cli.recognise import recognise
from services.cli.relist import relist
from services.cli.retry import retry
from services.cli.skip_to_end import skip_to_end
from services.cli.up import up

app = typer.Typer(
    name="ocr-services",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Self-hosted OCR: upload an image to S3, get its text.",
)
app.add_typer(dlq.app, name="dlq")
app.add_typer(keys.app, name="keys")
app.add_typer(tokens.app, name="tokens")
app.add_typer(webhooks.app, name="webhooks")
app.command()(doctor)
app.command()(erase)
app.command()(migrate)
app.command()(process)
app.command()(provision)
app.command()(recognise)
app.command()(relist)
app.command()(retry)
app.command()(skip_to_end)
app.command()(up)
add_data_option(app, without=(process, recognise))  # these read files, and speak to no stack or to its API alone


def main() -> None:
    """Runs the command line."""
    app(prog_name="ocr-services")


if __name__ == "__main__":
    main()
