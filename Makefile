SHELL = /bin/sh
.DEFAULT_GOAL = help
.PHONY: help setup demo cloud cloud-stop cloud-status

LOCALCLOUD = .venv/bin/python -m localcloud

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is needed, into this folder only; quick when it is there
	@tools/setup

# VIDEO and its like reach the command through the environment and in quotes: a path may have spaces.
demo: setup ## Drop a video, see its faces, on this machine alone [VIDEO=path]
	@$(LOCALCLOUD) demo $${VIDEO:+"$$VIDEO"}

# REKOGNITION_ENDPOINT=http://127.0.0.1:5000  use that endpoint instead of the project's own
# ENGINE=simulated SECONDS=5 DETECTIONS=100   don't look at the videos: a job takes this long and finds this much
# CONTEXT='retain_data=false'                 settings for the stack, as cdk's -c
# PORT=4566                                   not just any free port
cloud: setup ## Start the local cloud and deploy to it; again: bring it up to date (options: see Makefile)
	@$(LOCALCLOUD) up \
	  $${REKOGNITION_ENDPOINT:+--rekognition-endpoint "$$REKOGNITION_ENDPOINT"} \
	  $(if $(ENGINE),--engine $(ENGINE)) $(if $(SECONDS),--seconds $(SECONDS)) \
	  $(if $(DETECTIONS),--detections $(DETECTIONS)) $(if $(PORT),--port $(PORT)) \
	  $${CONTEXT:+--context "$$CONTEXT"}

cloud-status: setup ## Whether the local cloud runs, where, and its outputs
	@$(LOCALCLOUD) status || true

cloud-stop: ## End the local cloud and remove everything in it
	@if [ -x .venv/bin/python ]; then $(LOCALCLOUD) down; fi
