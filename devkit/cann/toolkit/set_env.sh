# What the real toolkit's set_env.sh sets, as far as the simulator reads it.
export ASCEND_TOOLKIT_HOME=/usr/local/Ascend/ascend-toolkit/latest
export LD_LIBRARY_PATH=${ASCEND_TOOLKIT_HOME}/lib64:${LD_LIBRARY_PATH}
export PYTHONPATH=${ASCEND_TOOLKIT_HOME}/python/site-packages:${PYTHONPATH}
export PATH=${ASCEND_TOOLKIT_HOME}/bin:${PATH}
