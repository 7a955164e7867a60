"""Terraform, run on a copy of the modules so that state and secrets stay in the test's folder."""

import json
import os
import shutil
import subprocess

from tools import REPOSITORY
from wait import Failed

SECONDS = 900


class Terraform:
    def __init__(self, folder):
        shutil.copytree(os.path.join(REPOSITORY, "terraform"), folder,
                        ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars*"))
        self.root = os.path.join(folder, "roots", "ssh")
        self.log = os.path.join(folder, "terraform.log")
        # An empty configuration, so that none of the user's is read.
        self.configuration = os.path.join(folder, "terraformrc")
        open(self.configuration, "w").close()

    def run(self, *arguments, codes=(0,)):
        environment = {**os.environ, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", "TF_INPUT": "0",
                       "TF_CLI_CONFIG_FILE": self.configuration}
        done = subprocess.run(["terraform", *arguments], cwd=self.root, env=environment, text=True, timeout=SECONDS,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        with open(self.log, "a") as log:
            log.write(f"\n$ terraform {' '.join(arguments)}\n{done.stdout}")
        if done.returncode not in codes:
            raise Failed(f"terraform {arguments[0]} ended with {done.returncode}:\n{done.stdout[-3000:]}")
        return done

    def init(self):
        self.run("init", "-no-color", "-backend=false")

    def variables(self, values):
        with open(os.path.join(self.root, "terraform.tfvars.json"), "w") as file:
            json.dump(values, file, indent=1)

    def apply(self, *arguments, codes=(0,)):
        return self.run("apply", "-no-color", "-auto-approve", *arguments, codes=codes)

    def destroy(self, *arguments, codes=(0,)):
        return self.run("destroy", "-no-color", "-auto-approve", *arguments, codes=codes)

    def changes(self):
        """Whether another apply would do anything."""
        return self.run("plan", "-no-color", "-detailed-exitcode", codes=(0, 2)).returncode == 2

    def state(self):
        return open(os.path.join(self.root, "terraform.tfstate")).read()
