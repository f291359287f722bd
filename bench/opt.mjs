import ort from "onnxruntime-node";
import { readFileSync } from "node:fs";
const m = readFileSync(".cache/dit.onnx");
const once = async (level, extra) => {
  const c = process.cpuUsage();
  const s = await ort.InferenceSession.create(m, {
    executionProviders: ["cpu"],
    graphOptimizationLevel: level,
    logSeverityLevel: 4,
    ...(extra ? { extra } : {}),
  });
  const u = process.cpuUsage(c);
  await s.release();
  return (u.user + u.system) / 1000;
};
const best = async (...a) => {
  let b = 1e9;
  for (let i = 0; i < 3; i++) b = Math.min(b, await once(...a));
  return b.toFixed(0);
};
console.log("all", await best("all"));
const names = [
  "ConstantSharing",
  "CommonSubexpressionElimination",
  "ConstantFolding",
  "MatMulAddFusion",
  "ReshapeFusion",
  "FreeDimensionOverrideTransformer",
  "Level1_RuleBasedTransformer",
  "ConstantPropagation",
  "TransposeOptimizer",
  "PropagateCastOps",
  "GeluFusionL1",
  "LayerNormFusionL1",
  "DoubleQDQPairsRemover",
  "NotWhereFusion",
  "MatMulActivationFusion",
  "GemmActivationFusion",
  "MatMulNBitsFusion",
  "DynamicQuantizeMatMulFusion",
  "ConvActivationFusion",
  "GeluFusionL2",
  "LayerNormFusionL2",
  "SimplifiedLayerNormFusion",
  "AttentionFusion",
  "EmbedLayerNormFusion",
  "GatherSliceToSplitFusion",
  "GatherToSliceFusion",
  "MatmulTransposeFusion",
  "BiasGeluFusion",
  "SkipLayerNormFusion",
  "FastGeluFusion",
  "QuickGeluFusion",
  "BiasSoftmaxFusion",
  "BiasDropoutFusion",
  "MatMulScaleFusion",
  "MatMulAddFusion",
  "NchwcTransformer",
  "NhwcTransformer",
  "ConvAddActivationFusion",
  "QDQSelectorActionTransformer",
  "TransformerMemcpy",
  "CseL1",
  "Level2_RuleBasedTransformer",
  "IsInfReduceSumFusion",
  "MatMulBnFusion",
  "SliceConcatToSpaceToDepthFusion",
  "LabelEncoderFusion",
];

const off = (keep) => ({
  optimization: {
    disable_specified_optimizers: [...new Set(names)].filter((n) => !keep.includes(n)).join(";"),
  },
});
const base = Number(await best("all", off([])));
console.log("none", base);
for (const n of new Set(names)) console.log(n, Number(await best("all", off([n]))) - base);
console.log("none", await best("all", off([])));
