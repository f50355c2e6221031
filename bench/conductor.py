"""Play a plan from deploy to report. What was created is deleted and what was measured is kept, whatever happens."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from analysis import Report, make_report
from bench import provenance
from bench.checks import check_plan
from bench.load import play_load
from bench.screen import deploy_reporter, say
from configs.errors import UserError
from configs.experiment import Experiment, experiment_name, plan_steps, wire_schema
from configs.plan import Plan
from deploy.clients import Clients
from deploy.endpoint import Deployment, Target, deployed, targets
from deploy.ledger import Ledger
from deploy.local.process import LocalSageMaker
from deploy.price import SpendGuard, quote
from deploy.signals import Stopped, orderly_exit
from locustfiles.launch import locust_command, locust_environment
from runfolder.layout import LOCUST_LOG, create_run_folder, locust_prefix
from runfolder.manifest import ExperimentEntry, Manifest, PriceQuote

Mode = Literal["headless", "ui", "master"]
_STATUS = "status.json"
