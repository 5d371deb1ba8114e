# SPDX-License-Identifier: Apache-2.0
"""Peer (c): img2dataset, with and without re-encoding. It neither grays nor stores in a database: it writes tar files.

img2dataset_peer.py URLS OUT reencode|copy"""
import os
import sys

from img2dataset import download

if __name__ == "__main__":
    urls, out, way = sys.argv[1:]
    download(url_list=urls, output_folder=out, processes_count=os.cpu_count(), thread_count=32, resize_mode="no", output_format="webdataset",
             skip_reencode=way == "copy", disable_all_reencoding=way == "copy", encode_quality=75, number_sample_per_shard=1000, compute_hash="sha256")
