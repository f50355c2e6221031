"""The one exception that stands for a user's mistake."""


class UserError(Exception):
    """A mistake that the user can mend: one clear sentence that names the thing and the remedy.

    The command line prints it without a traceback and exits with code 2.
    """
