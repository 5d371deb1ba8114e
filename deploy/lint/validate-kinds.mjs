// SPDX-License-Identifier: Apache-2.0
// node validate-kinds.mjs FOLDER: reads a JSON list of objects of KEDA and the Prometheus operator on standard input; prints one
// line for each that its schema (in FOLDER/node_modules) refuses.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const packages = { "keda.sh": "keda", "monitoring.coreos.com": "prometheus-operator" };
for (const object of JSON.parse(readFileSync(0, "utf8"))) {
    const [group, version] = object.apiVersion.split("/");
    const path = `${process.argv[2]}/node_modules/@kubernetes-models/${packages[group]}/${group}/${version}/${object.kind}.js`;
    const Kind = (await import(pathToFileURL(path)))[object.kind];
    try {
        new Kind(object).validate();
    } catch (error) {
        console.log(`${object.kind} ${object.metadata.name}: ${error.message}`);
    }
}
