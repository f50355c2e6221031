"""The model's own tokenizer, for answers that state no token count."""

from functools import cache

from common.errors import UserError
from locustfiles.client.request_metrics import TokenCounter


@cache
def token_counter(path: str) -> TokenCounter:
    """Counts the tokens of a text by a tokenizer.

    Raises:
        UserError: the file is not a ``tokenizer.json``.
    """
    from tokenizers import Tokenizer  # noqa: PLC0415 - 40 ms that only a load with a tokenizer needs

    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception as error:  # noqa: BLE001 - the library raises plain Exception, whatever is wrong
        raise UserError(
            f"{path} is not a tokenizer.json ({error})", "give the path of the model's tokenizer.json"
        ) from None
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
