# Checks the whole command line of make before any command starts, and passes values on unchanged.

EVERYWHERE := PYTHON VENV UV_SYSTEM_CERTS
FLAGS      := FULL ALL QUICK SEARCH AIPERF REPLACE DOWN JSON
GIVEN      := $(foreach v,$(.VARIABLES),$(if $(findstring command line,$(origin $v)),$v))
TAKEN      := $(foreach goal,$(MAKECMDGOALS),$(TAKES_$(goal))) $(EVERYWHERE)

define newline


endef
# Text as one word of the shell, whatever it contains; $(value …) keeps dollar signs.
escaped = '$(subst ','\'',$1)'
quoted  = $(if $(value $1),$(call escaped,$(value $1)))
option  = $(if $(value $1),$2 $(call quoted,$1))
flag    = $(if $(filter 1 yes true,$(value $1)),$2)
nearest = $(shell $(PYTHON) -c 'import difflib, sys; print(*(f"; did you mean {name}?" for name in difflib.get_close_matches(sys.argv[1], sys.argv[2:], 1)))' $(call escaped,$1) $2)
lower   = $(shell printf %s $(call escaped,$1) | tr A-Z a-z)
upper   = $(shell printf %s $(call escaped,$1) | tr a-z A-Z)

# Words that are not commands: `make bench ENDPOINT = mine` or a list with spaces would run bench first.
$(foreach goal,$(filter-out $(COMMANDS) $(READY) $(DEV) $(DATA),$(MAKECMDGOALS)),\
  $(error '$(goal)' is not a command$(call nearest,$(goal),$(COMMANDS)); `make help` lists them, and NAME=value takes no spaces (quote a value that has some)))
$(foreach v,$(filter-out $(TAKEN),$(GIVEN)),\
  $(error $v is not a variable of `make $(or $(MAKECMDGOALS),help)`$(call nearest,$(call upper,$v),$(TAKEN)) (it takes $(or $(strip $(filter-out $(EVERYWHERE),$(TAKEN))),none))))
$(foreach v,$(GIVEN),\
  $(if $(strip $(value $v)),,$(error $v= is empty; give it a value, or leave it out))\
  $(if $(findstring $(newline),$(value $v)),$(error $v contains a line break; write it on one line)))
$(foreach v,$(filter $(FLAGS),$(GIVEN)),\
  $(if $(filter-out 1 yes true 0 no false,$(value $v)),$(error $v=$(value $v) is neither yes nor no; write $v=1, or leave it out)))
# make keeps only the last of two values.
TWICE := $(if $(GIVEN),$(shell { tr '\0' '\n' </proc/$$PPID/cmdline || ps -ww -o args= -p $$PPID | tr ' ' '\n'; } 2>/dev/null | sed -n 's/^\([A-Z]*\)=.*/\1/p' | sort | uniq -d))
$(if $(strip $(TWICE)),$(error $(firstword $(TWICE)) is given twice; give it once (several values with commas: INSTANCE=ml.g5.xlarge,ml.g6.xlarge)))
