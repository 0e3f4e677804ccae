# The models' training; see training/README.md. Everything lies in $(TRAINING_CACHE), which git ignores.

TRAINING_VENV ?= .venv-training
TENSORFLOW_VENV ?= .venv-tensorflow
TRAINING_PYTHON := $(TRAINING_VENV)/bin/python
TRAINING_CACHE ?= training/cache
RECEIPTS ?= $(TRAINING_CACHE)/sroie
SHIPPED_WEIGHTS := services/recognition/weights
# What training begins with where there is no checkpoint; empty: from scratch.
START_WEIGHTS_RECOGNITION ?= $(SHIPPED_WEIGHTS)/crnn_dense_small.onnx
START_WEIGHTS_DETECTION ?= $(SHIPPED_WEIGHTS)/db_dense_small.onnx
SYNTHETIC_CROPS ?= 330000
SYNTHETIC_PAGES ?= 1500
TRAINING_SECONDS ?= 7200
TRAINING_THREADS ?= 2
FONT_PACKAGES := $(shell sed 's/\#.*//' training/debian-packages.txt)

.PHONY: train-environment train-packages training-data train-recognition train-detection evaluate export tensorflow-weights

$(TRAINING_VENV)/.installed: training/requirements.txt
	$(PYTHON) -m venv $(TRAINING_VENV)
	$(TRAINING_PYTHON) -m pip install --disable-pip-version-check --requirement $<
	@touch $@

train-environment: $(TRAINING_VENV)/.installed ## Install PyTorch and docTR for training into a venv of their own

train-packages: ## Install the Debian fonts and word lists that pages are rendered with (needs root)
	apt-get update && apt-get install --yes --no-install-recommends $(FONT_PACKAGES)

$(TRAINING_CACHE)/receipt-%-train: $(TRAINING_VENV)/.installed
	$(TRAINING_PYTHON) -m training.data receipt-$* $(RECEIPTS)/train --out $@

$(TRAINING_CACHE)/receipt-%-dev: $(TRAINING_VENV)/.installed
	$(TRAINING_PYTHON) -m training.data receipt-$* $(RECEIPTS)/dev --out $@

$(TRAINING_CACHE)/synthetic-crops: $(TRAINING_VENV)/.installed
	$(TRAINING_PYTHON) -m training.data synthetic-crops $(SYNTHETIC_CROPS) --out $@ --seed 1

$(TRAINING_CACHE)/synthetic-crops-dev: $(TRAINING_VENV)/.installed
	$(TRAINING_PYTHON) -m training.data synthetic-crops 3000 --out $@ --seed 999

$(TRAINING_CACHE)/nontext-crops: $(TRAINING_VENV)/.installed
	$(TRAINING_PYTHON) -m training.data nontext-crops 12000 --out $@ --seed 8

$(TRAINING_CACHE)/synthetic-pages: $(TRAINING_VENV)/.installed
	$(TRAINING_PYTHON) -m training.data synthetic-pages $(SYNTHETIC_PAGES) --out $@ --seed 51

$(TRAINING_CACHE)/synthetic-pages-dev: $(TRAINING_VENV)/.installed
	$(TRAINING_PYTHON) -m training.data synthetic-pages 60 --out $@ --seed 5001

train-recognition: $(addprefix $(TRAINING_CACHE)/,receipt-crops-train receipt-crops-dev synthetic-crops synthetic-crops-dev nontext-crops) ## Train the recogniser on from START_WEIGHTS_RECOGNITION; resumes
	$(TRAINING_PYTHON) -m training.train_recognition --out $(TRAINING_CACHE)/recognition \
		$(addprefix --weights ,$(START_WEIGHTS_RECOGNITION)) \
		--source $(TRAINING_CACHE)/receipt-crops-train:0.42 --source $(TRAINING_CACHE)/synthetic-crops:0.54 --source $(TRAINING_CACHE)/nontext-crops:0.04 \
		--choose $(TRAINING_CACHE)/receipt-crops-dev --choose $(TRAINING_CACHE)/synthetic-crops-dev \
		--seconds-max $(TRAINING_SECONDS) --threads $(TRAINING_THREADS)

train-detection: $(addprefix $(TRAINING_CACHE)/,receipt-pages-train receipt-pages-dev synthetic-pages synthetic-pages-dev) ## Train the detector on from START_WEIGHTS_DETECTION; resumes
	$(TRAINING_PYTHON) -m training.train_detection --out $(TRAINING_CACHE)/detection \
		$(addprefix --weights ,$(START_WEIGHTS_DETECTION)) \
		--source $(TRAINING_CACHE)/receipt-pages-train:0.4 --source $(TRAINING_CACHE)/synthetic-pages:0.6 \
		--choose $(TRAINING_CACHE)/receipt-pages-dev --choose $(TRAINING_CACHE)/synthetic-pages-dev \
		--seconds-max $(TRAINING_SECONDS) --threads $(TRAINING_THREADS)

EVALUATED_WEIGHTS ?= $(SHIPPED_WEIGHTS)
SCORED_RECEIPTS = $(wildcard $(RECEIPTS)/dev/*.csv)
RECEIPTS_OPTION = $(if $(SCORED_RECEIPTS),--receipts $(RECEIPTS)/dev)
TELL_OF_RECEIPTS = $(if $(SCORED_RECEIPTS),:,echo "RECEIPTS ARE LEFT OUT, NOT SCORED:" \
	"$(RECEIPTS)/dev holds no annotated receipts; see training/README.md" >&2)

evaluate: $(TRAINING_VENV)/.installed install ## Read receipts and synthetic A4 pages with the shipped pipeline, and score them
	$(TRAINING_PYTHON) -m training.data a4-pages 12 --out $(TRAINING_CACHE)/a4-pages --seed 2026
	@$(TELL_OF_RECEIPTS)
	$(BIN)/python -m training.evaluate --weights $(EVALUATED_WEIGHTS) --a4 $(TRAINING_CACHE)/a4-pages \
		$(RECEIPTS_OPTION)
	@$(TELL_OF_RECEIPTS)

export: ## Write the best trained weights as the ONNX files that the services load
	$(TRAINING_PYTHON) -m training.export --out $(SHIPPED_WEIGHTS) \
		$(addprefix --recognition ,$(wildcard $(TRAINING_CACHE)/recognition/best.pt)) \
		--crops $(TRAINING_CACHE)/synthetic-crops \
		$(addprefix --detection ,$(wildcard $(TRAINING_CACHE)/detection/best.pt)) \
		--pages $(TRAINING_CACHE)/receipt-pages-train --pages $(TRAINING_CACHE)/synthetic-pages
	$(MAKE) VENV=$(TENSORFLOW_VENV) tensorflow-weights

# docTR on TensorFlow and docTR on PyTorch are two releases of one package: an environment for each.
tensorflow-weights: install-all ## Write the weights of the shipped ONNX files as docTR on TensorFlow loads them
	$(BIN)/python -m training.tensorflow_weights --weights $(SHIPPED_WEIGHTS)
