-- Health of a ResNetService, by the rules of kstatus, which Flux and `kubectl wait` follow too.
-- kstatus knows no suspension: it calls a suspended object Current.
local hs = {status = "Progressing", message = "Waiting for the operator"}
local status = obj.status or {}
local conditions = {}
local means = {Reconciling = "Progressing", Stalled = "Degraded"}
local first = nil
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
  if first == nil and means[condition.type] ~= nil and condition.status == "True" then
    first = condition
  end
end
local function is(kind, value)
  return conditions[kind] ~= nil and conditions[kind].status == value
end
local function say(health, condition, otherwise)
  hs.status = health
  hs.message = condition ~= nil and condition.message or otherwise
  return hs
end

if obj.metadata.deletionTimestamp ~= nil then
  return say("Progressing", nil, "Being deleted")
end
-- -1 until the operator has seen the object at all: the CRD's default.
if status.observedGeneration == nil or status.observedGeneration ~= obj.metadata.generation then
  return say("Progressing", nil, "Waiting for the operator to see the spec")
end
if first ~= nil then
  return say(means[first.type], first, first.type)
end
if is("Ready", "True") then
  if conditions.Ready.reason == "Suspended" then
    return say("Suspended", conditions.Ready, "Suspended")
  end
  return say("Healthy", conditions.Ready, "Ready")
end
return say("Progressing", conditions.Ready, "Waiting for the operator")
