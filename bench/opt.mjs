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
  for (let i = 0; i < 4; i++) b = Math.min(b, await once(...a));
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


const keepers = ["ConstantFolding", "MatmulTransposeFusion", "MatMulScaleFusion", "FreeDimensionOverrideTransformer", "ConstantPropagation", "IsInfReduceSumFusion", "TransformerMemcpy", "CseL1"];
const cur = [...new Set(names)].filter((n) => !keepers.includes(n));
const more = ["GroupQueryAttentionFusion","GroupQueryAttentionPreNormFusion","BiasSkipLayerNormFusion","MatMulNBitsMlpFusion","MatMulNBitsQkvFusion","DQMatMulNBitsFusion","GqaValueLayoutTransformer","MatMulIntegerToFloatFusion","QDQPropagationTransformer","QDQFinalCleanupTransformer","QDQS8ToU8Transformer","Avx2WeightS8ToU8Transformer","RemoveDuplicateCastTransformer","FuseInitializersTransformer","CastChainElimination","ConstantFoldingDQ","Pad_Fusion","InsertCastTransformer","MatMul_BatchNormalization_Fusion", "ConstantFolding", "FreeDimensionOverrideTransformer"];
const t = async (l) => Number(await best("all", { optimization: { disable_specified_optimizers: l.join(";") } }));
console.log("now", await t(cur), await t(cur)); console.log("with all more", await t([...cur, ...more]));
for (const n of more) console.log(n, await t([...cur, n]));
console.log("now", await t(cur));
