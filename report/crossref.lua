-- Numbers figures and tables and resolves @fig- and @tbl- for Pandoc, as Quarto does by itself.

local words = { fig = "Figure", tbl = "Table" }
local numbers = {}
local counts = { fig = 0, tbl = 0 }

local function kind_of(identifier)
  return identifier:match("^(fig)%-") or identifier:match("^(tbl)%-")
end

local function number_caption(element)
  local kind = kind_of(element.identifier)
  if kind then
    counts[kind] = counts[kind] + 1
    numbers[element.identifier] = words[kind] .. "\u{a0}" .. counts[kind]
    local first = element.caption.long[1]
    local label = pandoc.Span({ pandoc.Str(numbers[element.identifier] .. ":"), pandoc.Space() }, { class = "label" })
    if first then
      first.content:insert(1, label)
    else
      element.caption.long = { pandoc.Plain({ label }) }
    end
  end
  return element
end

local function describe_image(figure)
  return figure:walk({
    Image = function(image)
      local alt = image.attributes["fig-alt"]
      if alt then
        image.caption = { pandoc.Str(alt) }
        image.attributes["fig-alt"] = nil
      end
      return image
    end,
  })
end

local function refer(cite)
  local identifier = cite.citations[1].id
  if kind_of(identifier) then
    if not numbers[identifier] then
      error("there is no figure or table " .. identifier)
    end
    return pandoc.Link(numbers[identifier], "#" .. identifier, "", { class = "crossref" })
  end
end

return {
  { Figure = function(figure) return number_caption(describe_image(figure)) end, Table = number_caption },
  { Cite = refer },
}
